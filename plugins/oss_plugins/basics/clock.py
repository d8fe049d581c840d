"""The tool ``now``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.contracts.messages import ToolSpec
from oss.contracts.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Mapping


class Now(Tool):
    """The date, time and weekday, here or in another time zone."""

    spec = ToolSpec(
        "now",
        "The current date, time and weekday.",
        {
            "type": "object",
            "properties": {
                "time_zone": {
                    "type": "string",
                    "description": "an IANA name such as Europe/Moscow; the user's own if left out",
                }
            },
            "additionalProperties": False,
        },
    )
    safe = True

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """ISO 8601 and the weekday."""
        now = datetime.now().astimezone()
        if name := arguments.get("time_zone"):
            from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

            try:
                now = now.astimezone(ZoneInfo(name))
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise UsageError(f"there is no time zone '{name}'") from error
        return f"{now.isoformat(timespec='seconds')}, {now:%A}"
