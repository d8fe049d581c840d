"""Tools that a model may ask for; a person decides whether they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.messages import ToolSpec


class Tool(ABC):
    """One tool. ``safe`` tools read nothing private and change nothing: they run unasked."""

    spec: ToolSpec
    safe: bool = False

    @abstractmethod
    async def call(self, arguments: Mapping[str, Any]) -> str:
        """Run with arguments that satisfy ``spec.parameters``; the text goes to the model,
        marked as untrusted.

        :raises OssError: shown to the model and the user as the tool's failure.
        """
