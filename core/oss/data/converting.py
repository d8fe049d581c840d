"""Rows back into records: one of the formats that others read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.data.rows import Conversation, Preference, Prompt, Rated, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from oss.contracts.messages import Message, ToolSpec
    from oss.data.rows import Row

_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}


class CannotError(ValueError):
    """A row that a format has no room for."""


def message_record(message: Message) -> dict[str, Any]:
    """A message as OpenAI has it; what is empty is left out."""
    record: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name:
        record["name"] = message.name
    if message.reasoning:
        record["reasoning_content"] = message.reasoning
    if message.tool_calls:
        record["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        record["tool_call_id"] = message.tool_call_id
    return record


def tools_record(tools: Sequence[ToolSpec]) -> dict[str, Any]:
    """The key ``tools`` as OpenAI has it, or nothing where there are none."""
    if not tools:
        return {}
    return {
        "tools": [
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
    }


def _to_messages(row: Row) -> dict[str, Any]:
    conversation = _conversation(row)
    messages = [message_record(message) for message in conversation.messages]
    for number in conversation.unlearned:
        messages[number]["weight"] = 0
    return {"messages": messages, **tools_record(conversation.tools)}


def _to_completion(row: Row) -> dict[str, Any]:
    if isinstance(row, Rated):
        return {
            "prompt": _short(row.prompt, "user"),
            "completion": _short((row.answer,), "assistant"),
            "label": row.good,
        }
    conversation = _conversation(row)
    *prompt, answer = conversation.messages
    if answer.role != "assistant" or not prompt:
        raise CannotError("does not end with an answer to a prompt")
    before = {n for n, message in enumerate(prompt) if message.role == "assistant"}
    if before - conversation.unlearned:
        raise CannotError(
            "has several answers to learn; prompt-completion learns the last one alone"
        )
    return {
        "prompt": _short(prompt, "user"),
        "completion": _short((answer,), "assistant"),
        **tools_record(conversation.tools),
    }


def _to_alpaca(row: Row) -> dict[str, Any]:
    conversation = _conversation(row)
    messages = list(conversation.messages)
    _refuse(conversation)
    record: dict[str, Any] = {}
    system = messages.pop(0).content if messages[0].role == "system" else ""
    roles = [message.role for message in messages]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        raise CannotError("is not user and assistant in turn")
    texts = [message.content for message in messages]
    record |= {"instruction": texts[-2], "input": "", "output": texts[-1]}
    if system:
        record["system"] = system
    if len(texts) > 2:
        record["history"] = [list(pair) for pair in zip(texts[:-2:2], texts[1:-2:2], strict=True)]
    return record


def _to_sharegpt(row: Row) -> dict[str, Any]:
    conversation = _conversation(row)
    _refuse(conversation)
    return {
        "conversations": [
            {"from": _SHAREGPT[message.role], "value": message.content}
            for message in conversation.messages
        ]
    }


def _to_preference(row: Row) -> dict[str, Any]:
    if not isinstance(row, Preference):
        raise CannotError("has no chosen and rejected answer")
    return {
        "prompt": [message_record(message) for message in row.prompt],
        "chosen": [message_record(row.chosen)],
        "rejected": [message_record(row.rejected)],
    }


def _to_prompt(row: Row) -> dict[str, Any]:
    if isinstance(row, Text):
        raise CannotError("is plain text and has no prompt")
    if isinstance(row, Conversation):
        asked = [n for n, message in enumerate(row.messages) if message.role == "user"]
        if not asked:
            raise CannotError("has no message of the user")
        return {"prompt": _short(row.messages[: asked[-1] + 1], "user"), **tools_record(row.tools)}
    fields = dict(row.fields) if isinstance(row, Prompt) else {}
    return {"prompt": _short(row.prompt, "user"), **fields}


def _to_text(row: Row) -> dict[str, Any]:
    if not isinstance(row, Text):
        raise CannotError("is a conversation; as plain text it needs a model's own template")
    return {"text": row.text}


FORMATS: Mapping[str, Callable[[Row], dict[str, Any]]] = {
    "messages": _to_messages,
    "prompt-completion": _to_completion,
    "alpaca": _to_alpaca,
    "sharegpt": _to_sharegpt,
    "preference": _to_preference,
    "prompt": _to_prompt,
    "text": _to_text,
}

KEYS: Mapping[str, frozenset[str]] = {
    "messages": frozenset({"messages", "tools", "system"}),
    "prompt-completion": frozenset({"prompt", "completion", "label", "tools"}),
    "alpaca": frozenset({"instruction", "input", "output", "system", "history"}),
    "sharegpt": frozenset({"conversations", "system", "tools"}),
    "preference": frozenset({"prompt", "chosen", "rejected"}),
    "prompt": frozenset({"prompt", "tools"}),
    "text": frozenset({"text"}),
}
"""The keys that each format has of its own; all others of a record are the user's."""


def to_record(row: Row, form: str) -> dict[str, Any]:
    """The row in a format.

    :param form: a key of :data:`FORMATS`.
    :raises CannotError: the format has no room for what the row holds; nothing is left out.
    """
    return FORMATS[form](row)


def _conversation(row: Row) -> Conversation:
    if isinstance(row, Conversation):
        return row
    if isinstance(row, Preference):
        return Conversation((*row.prompt, row.chosen), row.origin)
    if isinstance(row, Rated) and row.good:
        return Conversation((*row.prompt, row.answer), row.origin)
    why = {
        "rated": "is an answer marked as bad",
        "prompt": "has no answer",
        "text": "is plain text",
    }
    raise CannotError(why[row.kind])


def _refuse(conversation: Conversation) -> None:
    used = conversation.tools or any(
        m.tool_calls or m.role == "tool" for m in conversation.messages
    )
    if used:
        raise CannotError("calls tools, which the format has no room for")
    if any(message.reasoning for message in conversation.messages):
        raise CannotError("holds thinking, which the format has no room for")
    learned = [n for n, m in enumerate(conversation.messages) if m.role == "assistant"]
    if conversation.unlearned & set(learned):
        raise CannotError("has answers that are not learned, which the format cannot say")


def _short(messages: Sequence[Message], role: str) -> str | list[dict[str, Any]]:
    """Text where one plain message of the role is all there is."""
    records = [message_record(message) for message in messages]
    if len(records) == 1 and records[0].keys() == {"role", "content"} and messages[0].role == role:
        return messages[0].content
    return records
