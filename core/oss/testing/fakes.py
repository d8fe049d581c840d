"""Stand-ins for models, retrievers and tools: instant, repeatable, and honest about the contracts.

A :class:`FakeBackend` answers from a script, or repeats the user's last message. Its tokens are
the words of the text. Everything it was asked is kept in ``engine.requests``::

    backend = FakeBackend("first answer", FakeAnswer(reasoning="hm", content="second"))
    async with backend.open(fake_model(), (), {}) as engine:
        ...
    assert backend.engines[0].requests[0].messages[-1].content == "the prompt"
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.backend import Backend, Capability, Engine, EngineInfo
from oss.contracts.chat import Delta, Timings, TokenLogprob, ToolCallDelta, Usage
from oss.contracts.errors import BackendError, CapabilityError, ContextOverflowError, ModelError
from oss.contracts.messages import ToolCall, ToolSpec
from oss.contracts.model import LocalModel, ModelSource
from oss.contracts.persona import Persona
from oss.contracts.tool import Tool
from oss.testing.fake_retrieval import FakeEmbedder, FakeRetriever, word_vector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.chat import ChatRequest, FinishReason
    from oss.contracts.messages import Message
    from oss.contracts.model import Format, Progress

__all__ = [
    "FAKE_PERSONA",
    "FakeAnswer",
    "FakeBackend",
    "FakeEmbedder",
    "FakeEngine",
    "FakeRetriever",
    "FakeSource",
    "FakeTool",
    "fake_model",
    "words",
]

FAKE_PERSONA = Persona("fake", summary="says it is a fake", system="You are a fake.")


def words(text: str) -> list[str]:
    """The tokens of a fake model: words, each with the white space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


@dataclass(frozen=True)
class FakeAnswer:
    """One scripted answer.

    :param error: raised instead of the end of the answer, after ``content`` was streamed.
    :param delay_s: seconds to wait before each word.
    :param finish_reason: the last delta's; ``None`` works it out.
    """

    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    error: Exception | None = None
    delay_s: float = 0.0


Script = str | FakeAnswer | Callable[["ChatRequest"], "str | FakeAnswer"]


def fake_model(name: str = "fake") -> LocalModel:
    """A model that only :class:`FakeBackend` can open; no file lies behind it."""
    return LocalModel(name=name, ref=f"fake:{name}", format="remote")


def _instance(schema: Mapping[str, Any]) -> Any:
    """The smallest value that a plain JSON Schema accepts."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _instance(schema[key][0])
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            name: _instance(properties.get(name, {})) for name in schema.get("required", properties)
        }
    if kind == "array":
        return [_instance(schema.get("items", {}))] * schema.get("minItems", 0)
    if kind == "string":
        return "x" * schema.get("minLength", 0)
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"boolean": False, "null": None}[kind]


class FakeEngine(Engine):
    """Answers from a script, then by repeating the last message.

    Without a script it still does what a request demands: an instance of ``json_schema``, a call
    of the tool that ``tool_choice`` names or requires.

    :ivar requests: every request, in order.
    :ivar closed: how many answers were stopped before their end.
    """

    def __init__(
        self, info: EngineInfo, script: list[Script], adapters: Sequence[AdapterRef] = ()
    ) -> None:
        self.info = info
        self.adapters = tuple(adapters)
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self._script = script
        self._seen: list[str] = []

    async def chat(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Stream the next answer, word by word."""
        self.requests.append(request)
        prompt = self._prompt(request.messages, request.tools)
        self._refuse(request, len(prompt))
        answer = self._next(request)
        begun = time.perf_counter()
        cached = self._cached(prompt)
        count, finish = 0, answer.finish_reason
        try:
            for word in words(answer.reasoning):
                await asyncio.sleep(answer.delay_s)
                count += 1
                yield Delta(reasoning=word)
            content, cut = self._cut(answer.content, request, count, len(prompt))
            for word in words(content):
                await asyncio.sleep(answer.delay_s)
                count += 1
                yield Delta(content=word, logprobs=self._logprobs(word, request))
            if answer.error is not None:
                raise answer.error
            for index, call in enumerate(answer.tool_calls):
                half = len(call.arguments) // 2
                yield Delta(
                    tool_calls=(ToolCallDelta(index, call.id, call.name, call.arguments[:half]),)
                )
                yield Delta(tool_calls=(ToolCallDelta(index, arguments=call.arguments[half:]),))
                count += 1
        except GeneratorExit:
            self.closed += 1
            raise
        took = time.perf_counter() - begun
        yield Delta(
            finish_reason=finish or cut or ("tool_calls" if answer.tool_calls else "stop"),
            usage=Usage(len(prompt), count, cached),
            timings=Timings(first_token_s=took / max(count, 1), generate_s=took),
        )

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """The words of all messages and tools, and one for each message's role."""
        return len(self._prompt(messages, tools))

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors that are near for texts that share words."""
        self._need(Capability.EMBEDDINGS)
        return [word_vector(text) for text in texts]

    def _prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[str]:
        tokens = [w for t in tools for w in (t.name, *t.description.split())]
        for message in messages:
            tokens += [message.role, *message.content.split()]
            tokens += [w for c in message.tool_calls for w in (c.name, *c.arguments.split())]
        return [*tokens, "assistant"]

    def _need(self, capability: Capability) -> None:
        if capability not in self.info.capabilities:
            raise CapabilityError(f"backend '{self.info.backend}' has no {capability.value}")

    def _refuse(self, request: ChatRequest, prompt_tokens: int) -> None:
        if not request.messages:
            raise BackendError("the request has no messages")
        if request.tools:
            self._need(Capability.TOOLS)
        if request.json_schema is not None:
            self._need(Capability.JSON_SCHEMA)
        if request.logprobs is not None:
            self._need(Capability.LOGPROBS)
        known = {adapter.name for adapter in self.adapters}
        if unknown := sorted(set(request.adapter_scales) - known):
            raise BackendError(f"no adapter '{unknown[0]}' is loaded")
        if prompt_tokens >= self.info.context:
            raise ContextOverflowError(
                f"the prompt has {prompt_tokens} tokens, the context {self.info.context}"
            )

    def _next(self, request: ChatRequest) -> FakeAnswer:
        if self._script:
            step = self._script.pop(0)
            given = step if isinstance(step, str | FakeAnswer) else step(request)
            return FakeAnswer(given) if isinstance(given, str) else given
        last = request.messages[-1]
        tool = self._demanded(request)
        if tool is not None and last.role != "tool":
            arguments = json.dumps(_instance(tool.parameters), ensure_ascii=False)
            name = f"call_{len(self.requests)}"
            return FakeAnswer(tool_calls=(ToolCall(name, tool.name, arguments),))
        if request.json_schema is not None:
            return FakeAnswer(json.dumps(_instance(request.json_schema), ensure_ascii=False))
        return FakeAnswer(last.content or "(nothing)")

    @staticmethod
    def _demanded(request: ChatRequest) -> ToolSpec | None:
        if request.tool_choice in ("auto", "none") or not request.tools:
            return None
        named = [tool for tool in request.tools if tool.name == request.tool_choice]
        return named[0] if named else request.tools[0]

    def _cut(
        self, content: str, request: ChatRequest, spent: int, prompt_tokens: int
    ) -> tuple[str, FinishReason | None]:
        ends = [at for stop in request.sampling.stop if (at := content.find(stop)) >= 0]
        content = content[: min(ends)] if ends else content
        room = self.info.context - prompt_tokens
        if request.sampling.max_tokens is not None:
            room = min(room, request.sampling.max_tokens)
        tokens = words(content)
        if spent + len(tokens) > room:
            return "".join(tokens[: max(room - spent, 0)]), "length"
        return content, None

    def _cached(self, prompt: list[str]) -> int:
        same = 0
        for old, new in zip(self._seen, prompt, strict=False):
            if old != new:
                break
            same += 1
        self._seen = prompt
        return min(same, len(prompt) - 1)

    @staticmethod
    def _logprobs(word: str, request: ChatRequest) -> tuple[TokenLogprob, ...]:
        if request.logprobs is None:
            return ()
        best = (word, -0.1)
        others = [(f"{word}{n}", -2.0 - n) for n in range(1, request.logprobs)]
        return (TokenLogprob(*best, top=(best, *others)[: request.logprobs]),)


class FakeBackend(Backend):
    """Opens :class:`FakeEngine`; takes any model.

    :param script: answers, in order, shared by all engines it opens: texts, :class:`FakeAnswer`
        or functions of the request. The option ``answers`` adds texts to their end.
    :param fails: raised by :meth:`open`.
    """

    name: ClassVar[str] = "fake"
    formats: ClassVar[tuple[Format, ...]] = ("remote", "gguf", "hf")

    def __init__(
        self,
        *script: Script,
        context: int = 4096,
        capabilities: Iterable[Capability] = tuple(Capability),
        fails: Exception | None = None,
    ) -> None:
        self.script: list[Script] = list(script)
        self.context = context
        self.capabilities = frozenset(capabilities)
        self.fails = fails
        self.engines: list[FakeEngine] = []

    @asynccontextmanager
    async def open(
        self,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> AsyncIterator[Engine]:
        """An engine at once; ``context`` 0 takes the backend's own."""
        if self.fails is not None:
            raise self.fails
        self.script += options.get("answers", ())
        info = EngineInfo(
            self.name, model.name, options.get("context") or self.context, self.capabilities
        )
        engine = FakeEngine(info, self.script, adapters)
        self.engines.append(engine)
        yield engine


class FakeTool(Tool):
    """A tool that returns what it was given and remembers its calls.

    :param result: the text, a function of the arguments, or an exception to raise.
    """

    def __init__(
        self,
        name: str = "fake_tool",
        result: str | Callable[[Mapping[str, Any]], str] | Exception = "done",
        *,
        safe: bool = True,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self.spec = ToolSpec(
            name, "Returns a fixed text.", parameters or {"type": "object", "properties": {}}
        )
        self.safe = safe
        self.result = result
        self.calls: list[dict[str, Any]] = []

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """Record the call, then answer."""
        self.calls.append(dict(arguments))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result if isinstance(self.result, str) else self.result(arguments)


class FakeSource(ModelSource):
    """The scheme ``fake:``; every model is here, except those named ``absent``."""

    scheme = "fake"

    def find(self, rest: str) -> LocalModel | None:
        """A model without a file."""
        return None if rest == "absent" else fake_model(rest)

    def pull(self, rest: str, progress: Progress, *, sha256: str | None = None) -> LocalModel:  # noqa: ARG002
        """At once, in two steps of progress."""
        if rest == "absent":
            raise ModelError("no model 'fake:absent'")
        progress(0, 1, rest)
        progress(1, 1, rest)
        return fake_model(rest)

    def list(self) -> Iterable[LocalModel]:
        """One model."""
        return [fake_model()]
