"""Messages and tools as the JSON objects of the OpenAI chat-completions API, and back.

``reasoning_content`` is not OpenAI's: it is what llama.cpp, vLLM and DeepSeek call a message's
reasoning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.messages import Message, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.messages import ToolSpec


def message_to_wire(message: Message, *, reasoning: bool = True) -> dict[str, Any]:
    """The JSON object of a message; empty fields are left out, ``content`` always stands."""
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name:
        wire["name"] = message.name
    if message.reasoning and reasoning:
        wire["reasoning_content"] = message.reasoning
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def message_from_wire(wire: Mapping[str, Any]) -> Message:
    """The message of such an object.

    :raises KeyError: a field that every message or tool call has is absent.
    """
    return Message(
        role=wire["role"],
        content=wire.get("content") or "",
        name=wire.get("name"),
        reasoning=wire.get("reasoning_content") or "",
        tool_calls=tuple(
            ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in wire.get("tool_calls") or ()
        ),
        tool_call_id=wire.get("tool_call_id"),
    )


def tool_to_wire(spec: ToolSpec) -> dict[str, Any]:
    """The JSON object of a tool."""
    return {
        "type": "function",
        "function": {
            "name": spec.name,
            "description": spec.description,
            "parameters": spec.parameters,
        },
    }
