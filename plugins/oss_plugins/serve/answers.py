"""What a finished or running turn looks like in the OpenAI API."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.chat import TokenLogprob, Usage
    from oss.contracts.messages import ToolCall


def new_id(prefix: str) -> str:
    """An id that no other answer has."""
    return f"{prefix}{secrets.token_hex(12)}"


def usage_json(usages: Sequence[Usage], n: int) -> dict[str, Any]:
    """The tokens of one request: each prompt counts once, however many answers it got (``n``)."""
    prompt = sum(usage.prompt_tokens for usage in usages) // n
    cached = sum(usage.cached_tokens for usage in usages) // n
    completion = sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def logprobs_json(entries: Sequence[TokenLogprob]) -> dict[str, Any]:
    """The ``logprobs`` of a chat choice."""
    return {"content": [_logprob(entry) for entry in entries], "refusal": None}


def _logprob(entry: TokenLogprob) -> dict[str, Any]:
    return {
        **_token(entry.token, entry.logprob),
        "top_logprobs": [_token(token, logprob) for token, logprob in entry.top],
    }


def _token(token: str, logprob: float) -> dict[str, Any]:
    raw = token.encode("utf-8", "surrogatepass")
    return {"token": token, "logprob": max(logprob, -9999.0), "bytes": list(raw)}


def call_json(call: ToolCall) -> dict[str, Any]:
    """A tool call of a message."""
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def calls_with_ids(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Calls as JSON, with ids that hold beyond one answer: engines count from 0 in each."""
    return [{**call_json(call), "id": new_id("call_")} for call in calls]
