"""Requests to and answers from servers that speak the OpenAI chat-completions API; no network here.

Source: https://platform.openai.com/docs/api-reference/chat. Where servers differ, the reader is
tolerant and the writer sends only what was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oss.contracts.chat import Delta, Timings, TokenLogprob, ToolCallDelta, Usage
from oss.contracts.wire import message_to_wire, tool_to_wire
from oss.engines.harmony import tool_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oss.contracts.chat import ChatRequest, FinishReason, Sampling
    from oss.contracts.messages import Message, ToolSpec

_FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter")


def message_json(message: Message, *, reasoning_field: str | None = None) -> dict[str, Any]:
    """A message as a server wants it.

    :param reasoning_field: under which key this server takes the thinking of an assistant's
        earlier message; ``None`` leaves the thinking out, which strict servers want.
    """
    found = message_to_wire(message, reasoning=False)
    if message.reasoning and reasoning_field is not None:
        found[reasoning_field] = message.reasoning
    return found


def tools_json(tools: Iterable[ToolSpec]) -> list[dict[str, Any]]:
    """Tools as the API writes them."""
    return [tool_to_wire(tool) for tool in tools]


def sampling_json(sampling: Sampling) -> dict[str, Any]:
    """The settings that are given, under the names most servers know them by."""
    names = (
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "max_tokens",
    )
    out: dict[str, Any] = {
        name: value for name in names if (value := getattr(sampling, name)) is not None
    }
    if sampling.stop:
        out["stop"] = list(sampling.stop)
    return out


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
        **sampling_json(request.sampling),
    }
    if request.tools:
        body["tools"] = tools_json(request.tools)
        body["tool_choice"] = tool_choice_json(request.tool_choice)
    if request.json_schema is not None:
        body["response_format"] = schema_json(request.json_schema)
    if request.logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = request.logprobs
    if request.effort is not None:
        body["reasoning_effort"] = request.effort
    return body


def schema_json(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema as ``response_format``."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)},
    }


def chunk_delta(chunk: Mapping[str, Any], *, top: int | None = None) -> Delta | None:
    """A streamed chunk as a delta; ``None`` if it says nothing (a role, a progress report).

    :param top: alternatives to keep of each token's; ``None`` keeps all.
    """
    choices: Sequence[Mapping[str, Any]] = chunk.get("choices") or ()
    usage = _usage(chunk)
    timings = _timings(chunk)
    if not choices:
        return Delta(usage=usage, timings=timings) if usage or timings else None
    choice = choices[0]
    piece: Mapping[str, Any] = choice.get("delta") or {}
    content = piece.get("content") or ""
    reasoning = piece.get("reasoning_content") or piece.get("reasoning") or ""
    calls = tuple(_call(call) for call in piece.get("tool_calls") or ())
    logprobs = tuple(
        _logprob(entry, top) for entry in (choice.get("logprobs") or {}).get("content") or ()
    )
    finish: FinishReason | None = choice.get("finish_reason")
    if not (content or reasoning or calls or logprobs or finish or usage or timings):
        return None
    return Delta(content, reasoning, calls, logprobs, finish, usage, timings)


def _call(call: Mapping[str, Any]) -> ToolCallDelta:
    function: Mapping[str, Any] = call.get("function") or {}
    return ToolCallDelta(
        index=call.get("index", 0),
        id=call.get("id"),
        name=function.get("name"),
        arguments=function.get("arguments") or "",
    )


def _logprob(entry: Mapping[str, Any], top: int | None) -> TokenLogprob:
    best = entry.get("top_logprobs") or ()
    return TokenLogprob(
        entry["token"],
        entry["logprob"],
        tuple((each["token"], each["logprob"]) for each in best[:top]),
    )


def _usage(chunk: Mapping[str, Any]) -> Usage | None:
    usage = chunk.get("usage")
    if not usage:
        return None
    details: Mapping[str, Any] = usage.get("prompt_tokens_details") or {}
    return Usage(
        usage.get("prompt_tokens", 0),
        usage.get("completion_tokens", 0),
        details.get("cached_tokens") or 0,
    )


def _timings(chunk: Mapping[str, Any]) -> Timings | None:
    """llama.cpp's ``timings``, in milliseconds there."""
    timings = chunk.get("timings")
    if not timings:
        return None
    return Timings(prompt_s=timings["prompt_ms"] / 1000, generate_s=timings["predicted_ms"] / 1000)


class ChunkReader:
    """Reads the chunks of one answer.

    Servers differ in how they number tool calls: some leave ``index`` out or give every call 0.
    A call with an id not seen before is a new one.

    :param top: how many alternatives of each token to keep; ``None``: all.
    :ivar reasoning_field: the key under which the server sent thinking, once it did.
    """

    def __init__(self, *, top: int | None = None) -> None:
        self._top = top
        self.reasoning_field: str | None = None
        self._ids: list[str] = []

    def read(self, chunk: Mapping[str, Any]) -> Delta | None:
        """The step that a chunk brings; ``None`` where it brings none.

        A whole answer (``message`` in place of ``delta``) is one step.

        :raises ValueError: the chunk has not the shape of the API.
        """
        try:
            choices = chunk.get("choices") or ()
            if choices and "message" in choices[0]:
                choice = choices[0]
                chunk = {**chunk, "choices": [{**choice, "delta": choice["message"]}]}
            delta = chunk_delta(chunk, top=self._top)
            if delta is None:
                return None
            if delta.reasoning:
                piece = chunk["choices"][0]["delta"]
                self.reasoning_field = "reasoning" if piece.get("reasoning") else None
                if piece.get("reasoning_content"):
                    self.reasoning_field = "reasoning_content"
            if delta.tool_calls:
                calls = chunk["choices"][0]["delta"]["tool_calls"]
                delta = replace(delta, tool_calls=tuple(self._tool_call(call) for call in calls))
            if delta.finish_reason and delta.finish_reason not in _FINISH_REASONS:
                delta = replace(delta, finish_reason="stop")
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        if not isinstance(delta.content, str) or not isinstance(delta.reasoning, str):
            raise ValueError("the content is not text")
        return delta

    def _tool_call(self, found: Mapping[str, Any]) -> ToolCallDelta:
        function = found.get("function") or {}
        name, arguments = function.get("name") or None, function.get("arguments") or ""
        if name and "<|" in name:  # gpt-oss's channel, leaked into the name
            name = tool_name(name)
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        call_id, index = found.get("id") or None, found.get("index")
        known = isinstance(index, int) and index < len(self._ids)
        if self._ids and (call_id is None or call_id in self._ids) and (known or name is None):
            at = index if isinstance(index, int) and known else len(self._ids) - 1
            return ToolCallDelta(at, arguments=arguments)
        self._ids.append(call_id or f"call_{len(self._ids)}")
        return ToolCallDelta(len(self._ids) - 1, self._ids[-1], name or "", arguments)


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
