"""What the engines of both bindings have in common."""

from __future__ import annotations

import time
from abc import abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING

from oss.contracts.backend import Capability, Engine
from oss.contracts.errors import BackendError, UsageError
from oss.engines.finish import finished

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from typing import Any

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import EngineInfo
    from oss.contracts.chat import ChatRequest, Delta, Effort

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


class LlamaCppEngine(Engine):
    """An open GGUF model.

    :param native_tools: the model's chat template knows tools.
    """

    def __init__(
        self, info: EngineInfo, adapters: Sequence[AdapterRef], *, native_tools: bool
    ) -> None:
        self.info = info
        self._adapters = tuple(adapters)
        self._native_tools = native_tools

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the answer; closing the iterator stops the generation."""
        if not request.messages:
            raise UsageError("there is no message to answer")
        started = time.perf_counter()
        async with aclosing(finished(self._generate(request), started)) as deltas:
            async for delta in deltas:
                yield delta

    @abstractmethod
    def _generate(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The binding's own answer to a request that it can serve as it is."""

    @abstractmethod
    async def close(self) -> None:
        """Stop what runs and free the model."""

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

    @staticmethod
    def _template_kwargs(effort: Effort) -> dict[str, Any]:
        """Variables by which templates hear how much to think: gpt-oss knows three degrees,
        others an on and off; templates ignore what they do not know.
        """
        degree = {"none": "low", "minimal": "low"}.get(effort, effort)
        return {"reasoning_effort": degree, "enable_thinking": effort != "none"}
