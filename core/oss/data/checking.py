"""What is wrong with single rows: what `oss data check` says of each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oss.data.private import find_private
from oss.data.rows import Fault
from oss.data.views import messages_of, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.contracts.messages import Message
    from oss.data.rows import Conversation, Row

CODES = {
    "syntax": "cannot be read",
    "encoding": "is not UTF-8",
    "line-length": "is too long a line",
    "columns": "has other cells than the head",
    "shape": "is no object",
    "format": "has no known format",
    "messages": "has no messages",
    "message": "has a broken message",
    "role": "has an unknown role",
    "content": "has content that is no text",
    "tools": "has broken tools",
    "prompt": "has no prompt",
    "role-order": "has roles out of order",
    "no-answer": "has no answer to learn",
    "empty-answer": "has an empty answer",
    "same-answers": "prefers an answer to itself",
    "kinds": "is of another kind than the others",
    "leak": "is also in the held-out part",
    "secret": "holds a secret",
    "template": "is refused by the model's template",
    "too-long": "is longer than the context",
    "duplicate": "is a duplicate",
    "near-duplicate": "is nearly a duplicate",
    "empty-message": "has an empty message",
    "control-token": "holds a control token",
    "personal": "holds personal data",
    "language": "is in an unusual language",
    "length": "is of unusual length",
}
"""Every code of a fault, and what it says; errors first."""

_CONTROL = re.compile(
    r"<\|(?:im_start|im_end|endoftext|start|end|message|channel|return|call|eot_id|begin_of_text"
    r"|end_of_text|start_header_id|end_header_id|eom_id|system|user|assistant)\|>"
    r"|</?(?:start|end)_of_turn>|\[/?INST\]|<<SYS>>"
)


def examine(row: Row) -> Iterator[Fault]:
    """Everything that is wrong with one row, without looking at any other."""
    origin = row.origin
    if row.kind == "text":
        if not row.text.strip():
            yield Fault(origin, "empty-answer", "the text is empty")
    elif row.kind == "chat":
        yield from _conversation(row)
    else:
        for problem in _order(row.prompt):
            yield Fault(origin, "role-order", problem)
        if not any(m.content.strip() for m in row.prompt if m.role != "system"):
            yield Fault(origin, "prompt", "the prompt is empty")
        answers = (
            {"chosen": row.chosen, "rejected": row.rejected}
            if row.kind == "preference"
            else {"completion": row.answer}
            if row.kind == "rated"
            else {}
        )
        for name, given in answers.items():
            if _empty(given):
                yield Fault(origin, "empty-answer", f"'{name}' is empty")
        if row.kind == "preference" and row.chosen == row.rejected:
            yield Fault(origin, "same-answers", "chosen and rejected are the same")
    yield from _text(row)


def _conversation(row: Conversation) -> Iterator[Fault]:
    origin, messages = row.origin, row.messages
    for problem in _order(messages):
        yield Fault(origin, "role-order", problem)
    learned = [
        number
        for number, message in enumerate(messages)
        if message.role == "assistant" and number not in row.unlearned
    ]
    if not learned:
        yield Fault(origin, "no-answer", "no message of the assistant is learned")
    elif messages[-1].role != "assistant":
        last = f"the last message is the {messages[-1].role}'s: nothing answers it"
        yield Fault(origin, "no-answer", last, fatal=False)
    for number in learned:
        if _empty(messages[number]):
            yield Fault(origin, "empty-answer", f"messages[{number}], the assistant's, is empty")
    for number, message in enumerate(messages):
        if message.role in ("user", "system") and not message.content.strip():
            problem = f"messages[{number}], the {message.role}'s, is empty"
            yield Fault(origin, "empty-message", problem, fatal=False)


def _empty(message: Message) -> bool:
    return not message.content.strip() and not message.tool_calls


def _order(messages: Sequence[Message]) -> Iterator[str]:
    """Breaks of: system, then user and assistant in turn, tools after the calls they answer."""
    before: Message | None = None
    open_calls: set[str] = set()
    asked = False
    for number, message in enumerate(messages):
        here = f"messages[{number}]"
        role = message.role
        if role == "system" and number:
            yield f"{here}: a system message after the beginning"
        elif role == "tool":
            if not open_calls:
                yield f"{here}: a tool's result, and no call before it"
            elif message.tool_call_id and message.tool_call_id not in open_calls:
                yield f"{here}: answers the call '{message.tool_call_id}', which no one made"
        elif role == "assistant" and not asked:
            yield f"{here}: the assistant speaks before the user"
        elif before is not None and role == before.role and role != "system":
            yield f"{here}: {role} after {role}"
        elif role == "user" and before is not None and before.role == "tool":
            yield f"{here}: a tool's result that the assistant never answers"
        asked = asked or role == "user"
        if role == "assistant":
            open_calls = {call.id for call in message.tool_calls}
        before = message


def _text(row: Row) -> Iterator[Fault]:
    text = whole(row)
    if match := _CONTROL.search(text):
        problem = f"holds {match.group()!r}, which is a template's own mark, not text"
        yield Fault(row.origin, "control-token", problem, fatal=False)
    said = set()
    for call in (call for message in messages_of(row) for call in message.tool_calls):
        text += f"\n{call.arguments}"
    for found in find_private(text):
        line = f"holds a {found.name}: {found.masked}"
        line = line.replace("a e-", "an e-").replace("a A", "an A").replace("a O", "an O")
        if line not in said:
            said.add(line)
            yield Fault(row.origin, found.kind, line, fatal=found.kind == "secret")
