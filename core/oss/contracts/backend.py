"""Backends open models; engines answer requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.chat import ChatRequest, Delta
    from oss.contracts.messages import Message, ToolSpec
    from oss.contracts.model import Format, LocalModel


class Capability(str, Enum):
    """What an engine can do beyond plain chat."""

    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"
    EMBEDDINGS = "embeddings"
    REASONING = "reasoning"
    ADAPTERS = "adapters"
    PER_REQUEST_ADAPTERS = "per_request_adapters"
    EXPERT_ROUTING = "expert_routing"
    BATCHING = "batching"


@dataclass(frozen=True)
class EngineInfo:
    """What an open engine says of itself.

    :param context: tokens that prompt and answer may have together.
    :param details: free facts for ``oss doctor`` and screens (binding, threads, GPU layers).
    """

    backend: str
    model: str
    context: int
    capabilities: frozenset[Capability]
    details: Mapping[str, str] = field(default_factory=dict)


class Engine(ABC):
    """An open model. Safe to use from several tasks of one event loop."""

    info: EngineInfo

    @abstractmethod
    def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the answer; closing the iterator stops the generation.

        :raises BackendError: the engine failed, or went away.
        :raises ContextOverflowError: the prompt is longer than the context.
        """

    @abstractmethod
    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """Tokens of the prompt that these messages make, by the model's own template and
        tokenizer, the opening of the answer included.
        """

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:  # noqa: ARG002
        """One vector per text.

        :raises CapabilityError: this engine has no embeddings.
        """
        from oss.contracts.errors import CapabilityError

        raise CapabilityError(f"backend '{self.info.backend}' gives no embeddings for this model")


class Backend(ABC):
    """Opens models with one kind of engine. Constructed without arguments; cheap."""

    name: ClassVar[str]
    formats: ClassVar[tuple[Format, ...]]
    """Forms of a model it can open, best first."""

    @abstractmethod
    def open(
        self,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> AbstractAsyncContextManager[Engine]:
        """Load the model; leaving the context frees it.

        ``options`` are complete and validated against the descriptor; ``context`` (0: as large
        as fits) is always among them.

        :raises ModelError: the file is broken, or does not fit.
        :raises BackendError: the engine could not start, or an adapter does nothing.
        """

    @classmethod
    def problem(cls) -> str | None:
        """Why this backend cannot run here, in one line, or ``None``; imports little."""
        return None

    @classmethod
    def problem_with(cls, options: Mapping[str, Any]) -> str | None:  # noqa: ARG003
        """As :meth:`problem`, once a profile names this backend and sets these options (those
        left out are absent): one that connects to a server elsewhere needs less here.
        """
        return cls.problem()
