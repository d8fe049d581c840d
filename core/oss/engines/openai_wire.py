"""Requests and answers in the JSON of the OpenAI chat-completions API, as servers and engines of
this field speak it; no network here.

Source: https://platform.openai.com/docs/api-reference/chat. Where servers differ, the reader is
tolerant and the writer sends only what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from oss.contracts.chat import Delta, TokenLogprob, ToolCallDelta, Usage
from oss.contracts.wire import message_to_wire, tool_to_wire

if TYPE_CHECKING:
    from oss.contracts.chat import ChatRequest, FinishReason
    from oss.contracts.messages import Message

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def message_json(message: Message, *, reasoning_field: str | None = None) -> dict[str, Any]:
    """A message as a server wants it.

    :param reasoning_field: under which key this server takes the thinking of an assistant's
        earlier message; ``None`` leaves the thinking out, which strict servers want.
    """
    found = message_to_wire(message, reasoning=False)
    if message.reasoning and reasoning_field is not None:
        found[reasoning_field] = message.reasoning
    return found


def tool_choice_json(choice: str) -> str | dict[str, Any]:
    """``auto``, ``none`` and ``required`` stay words; anything else names a tool."""
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def request_json(
    request: ChatRequest, model: str, *, reasoning_field: str | None = None
) -> dict[str, Any]:
    """The body of ``/v1/chat/completions`` for a streamed answer.

    Only what the request sets is in it, so that the server's own defaults hold for the rest.
    ``top_k``, ``min_p`` and ``repeat_penalty`` are no part of the API; llama-server and others
    take them under these names.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [message_json(m, reasoning_field=reasoning_field) for m in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sampling = request.sampling
    for name in (
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "max_tokens",
    ):
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.tools:
        body["tools"] = [tool_to_wire(tool) for tool in request.tools]
        body["tool_choice"] = tool_choice_json(request.tool_choice)
    if request.json_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": dict(request.json_schema)},
        }
    if request.logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = request.logprobs
    if request.effort is not None:
        body["reasoning_effort"] = request.effort
    return body


def read_usage(found: object) -> Usage | None:
    """Token counts, or ``None`` where a server sends none."""
    if not isinstance(found, Mapping):
        return None
    details = found.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    return Usage(
        prompt_tokens=_count(found.get("prompt_tokens")),
        completion_tokens=_count(found.get("completion_tokens")),
        cached_tokens=_count(cached),
    )


def read_logprobs(found: object) -> tuple[TokenLogprob, ...]:
    """The ``logprobs`` of a choice."""
    content = found.get("content") if isinstance(found, Mapping) else None
    if not isinstance(content, Sequence):
        return ()
    return tuple(
        TokenLogprob(
            str(entry["token"]),
            float(entry["logprob"]),
            tuple(
                (str(other["token"]), float(other["logprob"]))
                for other in entry.get("top_logprobs") or ()
            ),
        )
        for entry in content
    )


class ChunkReader:
    """Reads the chunks of one streamed answer.

    Servers differ in how they number tool calls: some leave ``index`` out or give every call 0.
    A call with an id not seen before is a new one.

    :ivar finish_reason: as the server gave it; ``None`` until it does.
    :ivar usage: as the server gave it.
    :ivar reasoning_field: the key under which the server sent thinking.
    """

    def __init__(self) -> None:
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.reasoning_field: str | None = None
        self._ids: list[str] = []

    def read(self, chunk: Mapping[str, Any]) -> Delta | None:
        """The step that a chunk brings, without finish and usage; ``None`` where it brings none.

        :raises ValueError: the chunk has not the shape of the API.
        """
        if (usage := read_usage(chunk.get("usage"))) is not None:
            self.usage = usage
        choices = chunk.get("choices") or ()
        if not isinstance(choices, Sequence) or isinstance(choices, str):
            raise ValueError("'choices' is not a list")
        if not choices:
            return None
        choice = choices[0]
        if not isinstance(choice, Mapping):
            raise ValueError("a choice is not an object")
        if reason := choice.get("finish_reason"):
            self.finish_reason = _FINISH.get(str(reason), "stop")
        found = choice.get("delta") or choice.get("message") or {}
        if not isinstance(found, Mapping):
            raise ValueError("'delta' is not an object")
        try:
            delta = Delta(
                content=_text(found.get("content")),
                reasoning=self._reasoning(found),
                tool_calls=tuple(self._tool_call(call) for call in found.get("tool_calls") or ()),
                logprobs=read_logprobs(choice.get("logprobs")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a delta that the API does not know: {error}") from error
        return delta if delta != Delta() else None

    def _reasoning(self, found: Mapping[str, Any]) -> str:
        for field in ("reasoning_content", "reasoning"):
            if text := _text(found.get(field)):
                self.reasoning_field = field
                return text
        return ""

    def _tool_call(self, found: Mapping[str, Any]) -> ToolCallDelta:
        function = found.get("function") or {}
        name = function.get("name") or None
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping):
            arguments = json.dumps(arguments, ensure_ascii=False)
        call_id, index = found.get("id") or None, found.get("index")
        known = index is not None and index < len(self._ids)
        new = (
            (name is not None and not known)
            or (call_id is not None and call_id not in self._ids)
            or not self._ids
        )
        if not new:
            return ToolCallDelta(
                cast("int", index) if known else len(self._ids) - 1, arguments=arguments or ""
            )
        self._ids.append(call_id or f"call_{len(self._ids)}")
        return ToolCallDelta(len(self._ids) - 1, self._ids[-1], name or "", arguments or "")


def read_error(found: object) -> str | None:
    """The message of an error body in any of the shapes that servers send, or ``None``."""
    if isinstance(found, str):
        return found or None
    if isinstance(found, Sequence):
        return next((text for part in found if (text := read_error(part))), None)
    if not isinstance(found, Mapping):
        return None
    for key in ("error", "message", "detail", "msg"):
        if text := read_error(found.get(key)):
            return text
    return None


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    """Content as text: most send a string or null, some a list of parts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, Mapping))
    raise TypeError(f"content is {type(value).__name__}")
