"""Asks the person at the terminal whether a tool may run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oss.turn.untrusted import clean

if TYPE_CHECKING:
    from oss.cli.aside import Aside
    from oss.contracts.messages import ToolCall


@dataclass
class Asking:
    """A consent callback. ``a`` allows this tool until the program ends."""

    aside: Aside
    allowed: set[str] = field(default_factory=set)

    async def __call__(self, call: ToolCall) -> bool:
        """Ask, showing the arguments in full."""
        if call.name in self.allowed:
            return True
        from prompt_toolkit import PromptSession

        self.aside.clear()
        session: PromptSession[str] = PromptSession()
        shown = clean(json.dumps(json.loads(call.arguments or "{}"), ensure_ascii=False))
        try:
            answer = await session.prompt_async(
                f"run {call.name} {shown} ? [y]es, [a]lways, [n]o: "
            )
        except EOFError:
            return False
        except KeyboardInterrupt:
            raise asyncio.CancelledError from None
        answer = answer.strip().lower()
        if answer in ("a", "always", "в", "всегда"):
            self.allowed.add(call.name)
            return True
        return answer in ("y", "yes", "д", "да")
