"""Messages, tools and requests in the JSON form of the OpenAI chat-completions API, and its
streamed chunks as deltas. Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.chat import Delta, Timings, TokenLogprob, ToolCallDelta, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from oss.contracts.chat import FinishReason, Sampling
    from oss.contracts.messages import Message, ToolSpec

Json = dict[str, Any]


def message_json(message: Message) -> Json:
    """A message as the API writes it; reasoning stands in ``reasoning_content``."""
    out: Json = {"role": message.role, "content": message.content}
    if message.name:
        out["name"] = message.name
    if message.reasoning:
        out["reasoning_content"] = message.reasoning
    if message.tool_calls:
        out["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    return out


def tools_json(tools: Iterable[ToolSpec]) -> list[Json]:
    """Tools as the API writes them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in tools
    ]


def sampling_json(sampling: Sampling) -> Json:
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
    out: Json = {name: value for name in names if (value := getattr(sampling, name)) is not None}
    if sampling.stop:
        out["stop"] = list(sampling.stop)
    return out


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
