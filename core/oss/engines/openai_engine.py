"""An engine behind an OpenAI-compatible server; shared by every backend that talks to one."""

from __future__ import annotations

import json
import re
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oss.contracts.backend import Capability, EngineInfo
from oss.contracts.chat import Delta, Timings
from oss.contracts.errors import BackendError, CapabilityError
from oss.contracts.messages import ToolSpec
from oss.contracts.wire import tool_to_wire
from oss.engines.calling import CallingEngine, template_variables
from oss.engines.openai_dialect import count_tokens
from oss.engines.openai_http import ServerRefusedError
from oss.engines.openai_wire import ChunkReader, message_json, request_json, schema_json, tools_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from oss.contracts.chat import ChatRequest
    from oss.contracts.messages import Message
    from oss.engines.abilities import Abilities
    from oss.engines.openai_dialect import ServerModel
    from oss.engines.openai_http import OpenAIClient

CAPABILITIES = frozenset(
    {
        Capability.TOOLS,
        Capability.JSON_SCHEMA,
        Capability.LOGPROBS,
        Capability.EMBEDDINGS,
        Capability.REASONING,
        Capability.BATCHING,
    }
)
"""What such servers may be able to do; one that cannot is found out when it is asked."""

BYTES_PER_TOKEN = 3.0
"""For an estimate where a server cannot count. English has about 4 bytes to a token, Russian 5 to
6 with today's vocabularies, code 3: the estimate is rather too high than too low.
"""

_PROBE_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer", "enum": [7]}},
    "required": ["answer"],
    "additionalProperties": False,
}
_PROBE_TOOL = ToolSpec("seven", "gives the number seven")
_PROBE_TOKENS = 512  # room for a reasoning model to think before it answers
_REFUSED = (400, 404, 405, 422, 501)


class OpenAIEngine(CallingEngine):
    """A model on a server.

    :param client: closed by whoever made it.
    :param abilities: what is known of the server; what is found out is written to it.
    """

    def __init__(
        self,
        info: EngineInfo,
        client: OpenAIClient,
        model: ServerModel,
        abilities: Abilities,
    ) -> None:
        absent = {c for c in info.capabilities if abilities[c.value] is False}
        absent.discard(Capability.TOOLS)  # calls can be made by a schema
        self.info = replace(info, capabilities=info.capabilities - absent)
        self.client = client
        self.model = model
        self._abilities = abilities
        self._reasoning_field: str | None = None

    async def _prepare(self, request: ChatRequest) -> None:
        if request.logprobs is not None:
            self._known(Capability.LOGPROBS)
        if request.tools and self._abilities["tools"] is None:
            await self._ask_for_a_call()
        demanded = bool(request.tools) and request.tool_choice not in ("auto", "none")
        if request.json_schema is not None or (demanded and not self._calls_natively(request)):
            await self._ask_for_a_schema()

    @property
    def native_tools(self) -> bool:  # type: ignore[override]
        """Whether the server turns calls into ``tool_calls``; believed until asked."""
        return self._abilities["tools"] is not False

    @property
    def native_demands(self) -> bool:  # type: ignore[override]
        """llama-server's ``required`` lets a model talk before it calls."""
        return self.model.kind != "llama-server"

    async def body(self, request: ChatRequest) -> dict[str, Any]:
        """What is sent; a backend adds what its own kind of server knows."""
        body = request_json(request, self.model.name, reasoning_field=self._reasoning_field)
        if self.model.kind == "vllm" and "repeat_penalty" in body:
            body["repetition_penalty"] = body.pop("repeat_penalty")
        if self.model.kind == "llama-server" and request.logprobs == 0:
            body["top_logprobs"] = 1  # 0 reports nothing at all there
        if self.model.kind == "llama-server" and request.effort is not None:
            body["chat_template_kwargs"] = template_variables(request.effort)
        return body

    async def count_tokens(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> int:
        """By the server where it can; else estimated from the bytes, rather too high than too
        low (``info.details["tokens"]`` says which).
        """
        if tools and self._abilities["tools"] is None:
            await self._ask_for_a_call()
        messages, tools = self._shown(messages, tools)
        wire = [message_json(m, reasoning_field=self._reasoning_field) for m in messages]
        shown = tools_json(tools)
        if self._abilities["count_tokens"] is not False:
            try:
                counted = await count_tokens(self.client, self.model, wire, shown)
            except ServerRefusedError as error:
                if error.status not in _REFUSED:
                    raise
                counted = None
            if counted is not None:
                return counted
            self._abilities["count_tokens"] = False
        text = "".join(m.content + m.reasoning for m in messages) + (
            json.dumps(shown, ensure_ascii=False) if shown else ""
        )
        return int(len(text.encode()) / BYTES_PER_TOKEN) + 4 * len(messages) + 4

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order.

        :raises CapabilityError: the server has no embeddings for this model.
        """
        self._known(Capability.EMBEDDINGS)
        if not texts:
            return []
        try:
            answer = await self.client.post(
                "embeddings", {"model": self.model.name, "input": list(texts)}
            )
        except ServerRefusedError as error:
            if error.status in _REFUSED:
                raise self._cannot(Capability.EMBEDDINGS, error.said) from error
            raise
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = [[float(x) for x in row["embedding"]] for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise BackendError(f"{self.client.url} sent embeddings of an unknown shape") from error
        if len(vectors) != len(texts):
            raise BackendError(
                f"{self.client.url} sent {len(vectors)} embeddings for {len(texts)} texts"
            )
        return vectors

    async def _generate(
        self,
        request: ChatRequest,
        call: Mapping[str, Any] | None,  # noqa: ARG002  the API cannot say "a call or a text"
    ) -> AsyncGenerator[Delta, None]:
        body = await self.body(request)
        reader = ChunkReader(top=request.logprobs)
        first = 0.0
        async with aclosing(self._chunks(request, body)) as chunks:
            async for chunk in chunks:
                try:
                    delta = reader.read(chunk)
                except ValueError as error:
                    raise BackendError(
                        f"{self.client.url} sent an answer of an unknown shape ({error})"
                    ) from error
                if delta is None:
                    continue
                if request.logprobs is not None and delta.content and not delta.logprobs:
                    raise self._cannot(Capability.LOGPROBS, "none came with the answer")
                first = first or time.perf_counter()
                yield delta if request.logprobs is not None else replace(delta, logprobs=())
                if delta.timings is None and delta.finish_reason is not None:
                    yield Delta(timings=Timings(generate_s=time.perf_counter() - first))
        self._reasoning_field = reader.reasoning_field or self._reasoning_field

    async def _chunks(
        self, request: ChatRequest, body: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The events; a body that is refused for a field that can be spelled otherwise is mended
        once and sent again.
        """
        for name in ("stream_options", "max_completion_tokens"):
            self._respell(body, name)
        try:
            async with aclosing(self.client.stream("chat/completions", body)) as events:
                async for event in events:
                    yield event
            return
        except ServerRefusedError as error:
            if not self._mend(request, body, error):
                raise
        async with aclosing(self.client.stream("chat/completions", body)) as events:
            async for event in events:
                yield event

    def _mend(self, request: ChatRequest, body: dict[str, Any], error: ServerRefusedError) -> bool:
        if error.status not in _REFUSED:
            return False
        said = error.said
        if "stream_options" in said and "stream_options" in body:
            self._abilities["stream_options"] = False
            self._respell(body, "stream_options")
            return True
        if "max_completion_tokens" in said and "max_tokens" in body:
            self._abilities["max_completion_tokens"] = True
            self._respell(body, "max_completion_tokens")
            return True
        asked = {
            Capability.JSON_SCHEMA: (request.json_schema is not None, r"response_format|schema"),
            Capability.LOGPROBS: (request.logprobs is not None, r"logprob"),
        }
        for capability, (used, word) in asked.items():
            if used and re.search(word, said, re.IGNORECASE):
                raise self._cannot(capability, said) from error
        return False

    def _respell(self, body: dict[str, Any], name: str) -> None:
        if name == "stream_options" and self._abilities[name] is False:
            body.pop(name, None)
        if name == "max_completion_tokens" and self._abilities[name] and "max_tokens" in body:
            body[name] = body.pop("max_tokens")

    def _known(self, capability: Capability) -> None:
        """Refuse what is known to be absent."""
        if capability not in self.info.capabilities:
            raise CapabilityError(
                f"the server at {self.client.url} gives no {capability.value} "
                f"for model '{self.model.name}'",
                hint="use another backend, or another server",
            )

    def _cannot(self, capability: Capability, said: str) -> CapabilityError:
        """Remember an absence, and the error that says it."""
        self._abilities[capability.value] = False
        self.info = replace(self.info, capabilities=self.info.capabilities - {capability})
        return CapabilityError(
            f"the server at {self.client.url} gives no {capability.value} "
            f"for model '{self.model.name}': {' '.join(said.split())[:200]}",
            hint="use another backend, or another server",
        )

    async def _ask(self, extra: dict[str, Any]) -> Mapping[str, Any] | None:
        """The answer to a small trial request; ``None`` where the server refuses it."""
        body = {
            "model": self.model.name,
            "messages": [{"role": "user", "content": "Call the tool `seven`."}],
            "temperature": 0,
            "max_tokens": _PROBE_TOKENS,
            **extra,
        }
        try:
            answer = await self.client.post("chat/completions", body)
            choice = answer["choices"][0]
            message = choice["message"]
        except ServerRefusedError as error:
            if error.status not in _REFUSED:
                raise
            return None
        except (KeyError, IndexError, TypeError) as error:
            raise BackendError(f"{self.client.url} sent an answer of an unknown shape") from error
        if not message.get("content") and choice.get("finish_reason") == "length":
            return {}  # it was still thinking: nothing learnt
        found: Mapping[str, Any] = message
        return found

    async def _ask_for_a_schema(self) -> None:
        """Ask once whether the server keeps to a schema: many ignore one without a word.

        :raises CapabilityError: it does not.
        """
        self._known(Capability.JSON_SCHEMA)
        if self._abilities["json_schema"] is not None:
            return
        message = await self._ask({"response_format": schema_json(_PROBE_SCHEMA)})
        if message is None:
            raise self._cannot(Capability.JSON_SCHEMA, "it refused a trial request")
        if not message:
            return
        try:
            kept = json.loads(message["content"] or "") == {"answer": 7}
        except (KeyError, TypeError, ValueError):
            kept = False
        if not kept:
            raise self._cannot(Capability.JSON_SCHEMA, "it ignored the schema of a trial request")
        self._abilities["json_schema"] = True

    async def _ask_for_a_call(self) -> None:
        """Ask once whether calls come as ``tool_calls``. Where not, they are made by a schema."""
        message = await self._ask({"tools": [tool_to_wire(_PROBE_TOOL)], "tool_choice": "required"})
        if message is None or message:
            self._abilities["tools"] = bool(message and message.get("tool_calls"))
