"""The formats of rows, told apart by their keys, and turned into one form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.messages import Message, ToolCall, ToolSpec
from oss.data.rows import Conversation, Preference, Prompt, Rated, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from oss.contracts.messages import Role
    from oss.data.rows import Origin, Row

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}


class RowError(ValueError):
    """A row that cannot be read; ``code`` is the fault's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _text(value: Any, where: str) -> str:
    """The text of a message, which may be a list of text parts; ``None`` is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = []
        for part in value:
            if not isinstance(part, dict) or not isinstance(part.get("text"), str):
                kind = part.get("type") if isinstance(part, dict) else type(part).__name__
                raise RowError("content", f"{where} has a part of type '{kind}'; only text is used")
            parts.append(part["text"])
        return "".join(parts)
    raise RowError("content", f"{where} is {type(value).__name__}, not text")


def _calls(value: Any, where: str) -> tuple[ToolCall, ...]:
    if not value:
        return ()
    if not isinstance(value, list):
        raise RowError("tools", f"{where} is not a list")
    calls = []
    for number, call in enumerate(value):
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RowError("tools", f"{where}[{number}] names no function")
        arguments = function.get("arguments", "{}")
        if not isinstance(arguments, str):
            import msgspec

            arguments = msgspec.json.encode(arguments).decode()
        calls.append(ToolCall(str(call.get("id", f"call_{number}")), function["name"], arguments))
    return tuple(calls)


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict):
        raise RowError("message", f"{where} is {type(value).__name__}, not a message")
    name = value.get("role", value.get("from"))
    if not isinstance(name, str) or name.lower() not in _ROLES:
        known = "system, user, assistant, tool"
        raise RowError("role", f"{where} has the role {name!r}; known: {known}")
    role = _ROLES[name.lower()]
    content = _text(value.get("content", value.get("value")), f"{where}.content")
    reasoning = _text(
        value.get("reasoning_content", value.get("thinking", value.get("reasoning"))),
        f"{where}.reasoning",
    )
    calls = _calls(value.get("tool_calls"), f"{where}.tool_calls")
    call_id = value.get("tool_call_id")
    return Message(
        role,
        content,
        name=value["name"] if isinstance(value.get("name"), str) else None,
        reasoning=reasoning,
        tool_calls=calls,
        tool_call_id=call_id if isinstance(call_id, str) else None,
    )


def _messages(value: Any, where: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise RowError("messages", f"{where} is not a list of messages, or is empty")
    return tuple(_message(item, f"{where}[{n}]") for n, item in enumerate(value))


def _turns(value: Any, where: str, role: Role) -> tuple[Message, ...]:
    """A text (one message of ``role``) or a list of messages."""
    if isinstance(value, str):
        return (Message(role, value),)
    return _messages(value, where)


def _tools(record: Mapping[str, Any]) -> tuple[ToolSpec, ...]:
    found = []
    for number, tool in enumerate(record.get("tools") or ()):
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RowError("tools", f"tools[{number}] names no function")
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        found.append(ToolSpec(function["name"], str(function.get("description", "")), parameters))
    return tuple(found)


def _chat(record: Mapping[str, Any], origin: Origin) -> Row:
    key = "messages" if "messages" in record else "conversations"
    messages = _messages(record[key], key)
    if isinstance(record.get("system"), str) and messages[0].role != "system":
        messages = (Message("system", record["system"]), *messages)
    shift = len(messages) - len(record[key])
    unlearned = frozenset(
        number + shift for number, raw in enumerate(record[key]) if raw.get("weight") == 0
    )
    return Conversation(messages, origin, _tools(record), unlearned)


def _completion(record: Mapping[str, Any], origin: Origin) -> Row:
    prompt = _turns(record["prompt"], "prompt", "user")
    answer = _turns(record["completion"], "completion", "assistant")
    if isinstance(record.get("label"), bool):
        return Rated(prompt, _one(answer, "completion"), record["label"], origin)
    context = frozenset(n for n, message in enumerate(prompt) if message.role == "assistant")
    return Conversation((*prompt, *answer), origin, _tools(record), context)


def _alpaca(record: Mapping[str, Any], origin: Origin) -> Row:
    instruction = _text(record["instruction"], "instruction")
    extra = _text(record.get("input"), "input")
    messages = [Message("user", f"{instruction}\n\n{extra}" if extra.strip() else instruction)]
    messages.append(Message("assistant", _text(record["output"], "output")))
    for pair in reversed(record.get("history") or ()):
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowError("message", "history is not a list of pairs")
        messages[:0] = [
            Message("user", _text(pair[0], "history")),
            Message("assistant", _text(pair[1], "history")),
        ]
    if system := _text(record.get("system"), "system"):
        messages.insert(0, Message("system", system))
    return Conversation(tuple(messages), origin)


def _one(messages: Sequence[Message], where: str) -> Message:
    if len(messages) != 1 or messages[0].role != "assistant":
        raise RowError("messages", f"{where} is not one answer of the assistant")
    return messages[0]


def _preference(record: Mapping[str, Any], origin: Origin) -> Row:
    chosen = _turns(record["chosen"], "chosen", "assistant")
    rejected = _turns(record["rejected"], "rejected", "assistant")
    if "prompt" in record:
        prompt = _turns(record["prompt"], "prompt", "user")
        if chosen[: len(prompt)] == prompt:  # both forms are in use: with the prompt and without
            chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    else:
        common = 0
        while common < min(len(chosen), len(rejected)) and chosen[common] == rejected[common]:
            common += 1
        prompt, chosen, rejected = chosen[:common], chosen[common:], rejected[common:]
        if not prompt:
            raise RowError("prompt", "has no prompt, and chosen and rejected begin differently")
    return Preference(prompt, _one(chosen, "chosen"), _one(rejected, "rejected"), origin)


def _prompt(record: Mapping[str, Any], origin: Origin) -> Row:
    rest = {key: value for key, value in record.items() if key != "prompt"}
    return Prompt(_turns(record["prompt"], "prompt", "user"), origin, rest)


def _plain(record: Mapping[str, Any], origin: Origin) -> Row:
    return Text(_text(record["text"], "text"), origin)


# Name, the keys a row of the format has, and its reader; the first that fits is taken, so the
# formats with more keys stand first.
FORMATS: tuple[tuple[str, frozenset[str], Callable[[Mapping[str, Any], Origin], Row]], ...] = (
    ("preference", frozenset({"chosen", "rejected"}), _preference),
    ("messages", frozenset({"messages"}), _chat),
    ("sharegpt", frozenset({"conversations"}), _chat),
    ("alpaca", frozenset({"instruction", "output"}), _alpaca),
    ("completion", frozenset({"prompt", "completion"}), _completion),
    ("text", frozenset({"text"}), _plain),
    ("prompt", frozenset({"prompt"}), _prompt),
)


def recognise(record: Mapping[str, Any]) -> str | None:
    """The name of the row's format, or ``None``."""
    keys = record.keys()
    return next((name for name, wanted, _ in FORMATS if wanted <= keys), None)


def parse(record: Any, origin: Origin) -> Row:
    """One row in the form that the rest of oss uses.

    :raises RowError: it has no known format, or breaks the one it has.
    """
    if not isinstance(record, dict):
        raise RowError("shape", f"is {type(record).__name__}, not an object")
    for _, wanted, reader in FORMATS:
        if wanted <= record.keys():
            return reader(record, origin)
    keys = ", ".join(map(str, list(record)[:6])) or "none"
    known = "; ".join(" + ".join(sorted(wanted)) for _, wanted, _ in FORMATS)
    raise RowError("format", f"has no known format (keys: {keys}; known: {known})")
