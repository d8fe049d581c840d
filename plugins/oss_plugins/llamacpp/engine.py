"""What the engines of both bindings have in common."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING

from oss.contracts.backend import Capability
from oss.contracts.errors import BackendError
from oss.engines.calling import CallingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import EngineInfo
    from oss.contracts.chat import ChatRequest, Delta

CAPABILITIES = frozenset(
    {
        Capability.TOOLS,
        Capability.JSON_SCHEMA,
        Capability.LOGPROBS,
        Capability.REASONING,
        Capability.ADAPTERS,
        Capability.PER_REQUEST_ADAPTERS,
    }
)


class UnreadableAnswerError(BackendError):
    """llama.cpp's own parser met an answer that it cannot read."""


class LlamaCppEngine(CallingEngine):
    """An open GGUF model.

    :param native_tools: the model's chat template knows tools.
    """

    def __init__(
        self,
        info: EngineInfo,
        adapters: Sequence[AdapterRef],
        *,
        native_tools: bool,
    ) -> None:
        self.info = info
        self._adapters = tuple(adapters)
        self.native_tools = native_tools

    async def _native(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """A call in the model's own form; an answer that cannot be read is asked for again."""
        said = False
        try:
            async with aclosing(self._generate(request, None)) as deltas:
                async for delta in deltas:
                    said = said or bool(delta.content)
                    yield delta
            return
        except UnreadableAnswerError:
            if said:
                raise
        async with aclosing(self._told(request)) as deltas:
            async for delta in deltas:
                yield delta

    @abstractmethod
    async def close(self) -> None:
        """Stop what runs and free the model."""

    def forget_scales(self) -> None:
        """Called when what is cached was evaluated under the scales that adapters were opened
        with; an engine whose cache minds the scales itself has nothing to do.
        """

    def _scales(self, wanted: Mapping[str, float]) -> list[float]:
        """The scale of each adapter, in the order they were opened in.

        :raises BackendError: an adapter is named that was not opened.
        """
        known = {adapter.name for adapter in self._adapters}
        for name in wanted:
            if name not in known:
                raise BackendError(
                    f"no adapter '{name}' is open",
                    hint=f"open: {', '.join(sorted(known)) or 'none'}",
                )
        return [wanted.get(adapter.name, adapter.scale) for adapter in self._adapters]
