"""Rows as tokens, with the loss on the assistant's words and nothing else.

The chat template is rendered up to each answer (with the opening that generation starts from) and
after it; what lies between is learned, the end-of-turn token included, so that the model learns
to stop. This needs no ``{% generation %}`` marks in the template and gives exactly the prompt
that is seen when the model is run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedTokenizerBase

    from oss.contracts.messages import Message, ToolSpec
    from oss.data.rows import Conversation, Origin, Row

IGNORED = -100


@dataclass(frozen=True)
class Encoded:
    """Tokens of one row; ``labels`` equal them where the loss counts, and are -100 elsewhere."""

    input_ids: list[int]
    labels: list[int]
    origin: Origin

    @property
    def learned(self) -> int:
        """Tokens that the loss counts."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True)
class EncodedSet:
    """The rows that can be learned, and words about those that cannot."""

    rows: list[Encoded]
    notices: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of one pass."""
        return sum(len(row.input_ids) for row in self.rows)

    @property
    def learned(self) -> int:
        """Tokens of one pass that the loss counts."""
        return sum(row.learned for row in self.rows)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max((len(row.input_ids) for row in self.rows), default=0)


def template_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat templates take them: arguments of calls as objects, reasoning under the
    names that templates look for.
    """
    result = []
    for message in messages:
        plain: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.reasoning:  # gpt-oss reads `thinking`, Qwen and DeepSeek `reasoning_content`
            plain["thinking"] = plain["reasoning_content"] = message.reasoning
        if message.tool_calls:
            plain["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.loads(call.arguments)},
                }
                for call in message.tool_calls
            ]
        if message.tool_call_id:
            plain["tool_call_id"] = message.tool_call_id
        if message.name:
            plain["name"] = message.name
        result.append(plain)
    return result


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec] = (),
    *,
    opening: bool,
) -> str:
    """The text of messages by the model's template; ``opening`` adds the start of an answer.

    :raises ModelError: the model has no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            "the base model has no chat template, so it cannot learn conversations",
            hint="take an instruct model, or train it on plain text ({'text': ...} rows)",
        )
    plain_tools = [
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
    text: str = tokenizer.apply_chat_template(
        template_messages(messages),
        tools=plain_tools or None,
        tokenize=False,
        add_generation_prompt=opening,
    )
    return text


def encode(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], max_length: int) -> EncodedSet:
    """Conversations and texts as tokens; rows that are too long are left out and named.

    :raises UsageError: a row cannot be rendered, or none is left.
    :raises ModelError: no chat template, or a tokenizer that cannot say where tokens lie.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            "this model's tokenizer cannot say where in the text a token lies",
            hint="use a model with a tokenizer.json",
        )
    encoded: list[Encoded] = []
    too_long: list[Encoded] = []
    empty: list[Origin] = []
    for row in rows:
        if row.kind == "chat":
            pieces = list(_conversation(tokenizer, row))
        elif row.kind == "text":
            pieces = list(_text(tokenizer, row.text, row.origin, max_length))
        else:
            raise UsageError(f"{row.origin}: rows of kind '{row.kind}' need another objective")
        usable = [piece for piece in pieces if piece.learned]
        if not usable:
            empty.append(row.origin)
        for piece in usable:
            (encoded if len(piece.input_ids) <= max_length else too_long).append(piece)
    notices = []
    if too_long:
        longest = max(len(piece.input_ids) for piece in too_long)
        notices.append(
            f"{len(too_long)} of {len(rows)} rows are longer than {max_length} tokens and are left "
            f"out (the first: {too_long[0].origin}; the longest has {longest}); "
            "raise train.max_length to learn them"
        )
    if empty:
        notices.append(f"{len(empty)} rows have no answer to learn (the first: {empty[0]})")
    if not encoded:
        raise UsageError(
            f"none of the {len(rows)} rows can be learned from",
            hint=notices[0] if notices else None,
        )
    if notice := _missing_stop(tokenizer, encoded, rows):
        notices.append(notice)
    return EncodedSet(encoded, tuple(notices))


def _missing_stop(
    tokenizer: PreTrainedTokenizerBase, encoded: Sequence[Encoded], rows: Sequence[Row]
) -> str | None:
    """A warning where the answers end with an ordinary token: such a model never stops."""
    if all(row.kind == "text" for row in rows):
        return None
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    last = next(label for label in reversed(encoded[0].labels) if label != IGNORED)
    if last in special:
        return None
    return (
        f"answers end with the ordinary token {tokenizer.decode([last])!r}: the chat template "
        "closes no turn, so the model may learn never to stop"
    )


def _conversation(tokenizer: PreTrainedTokenizerBase, row: Conversation) -> Iterator[Encoded]:
    answers = [
        number
        for number, message in enumerate(row.messages)
        if message.role == "assistant" and number not in row.unlearned
    ]
    if not answers:
        return
    try:
        spans = [_span(tokenizer, row, number) for number in answers]
    except ModelError:
        raise
    except Exception as error:
        raise UsageError(f"{row.origin}: the chat template refuses the row: {error}") from error
    whole = "".join(spans[-1])
    if all(whole.startswith(before + answer) for before, answer in spans):
        places = [(len(before), len(before) + len(answer)) for before, answer in spans]
        yield _mark(tokenizer, whole, places, row.origin)
        return
    # The template shows earlier answers otherwise than the last (it drops their reasoning):
    # each answer is learned in the form in which it is generated, as a row of its own.
    for before, answer in spans:
        yield _mark(
            tokenizer, before + answer, [(len(before), len(before) + len(answer))], row.origin
        )


def _span(tokenizer: PreTrainedTokenizerBase, row: Conversation, number: int) -> tuple[str, str]:
    """The text before an answer, and the answer up to and with its end-of-turn mark."""
    before = render(tokenizer, row.messages[:number], row.tools, opening=True)
    after = render(tokenizer, row.messages[: number + 1], row.tools, opening=False)
    if not after.startswith(before):
        raise UsageError(
            f"{row.origin}: the chat template writes message {number + 1} otherwise than it opens "
            "an answer, so it cannot be told what to learn"
        )
    return before, after[len(before) :].rstrip()


def _mark(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    places: Sequence[tuple[int, int]],
    origin: Origin,
) -> Encoded:
    tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [
        token if any(first <= begin < last for first, last in places) else IGNORED
        for token, (begin, _) in zip(tokens["input_ids"], tokens["offset_mapping"], strict=True)
    ]
    return Encoded(list(tokens["input_ids"]), labels, origin)


def _text(
    tokenizer: PreTrainedTokenizerBase, text: str, origin: Origin, max_length: int
) -> Iterator[Encoded]:
    """Plain text in windows of ``max_length``; its end is learned too."""
    tokens = list(tokenizer(text)["input_ids"])
    if not text.strip():
        return
    if tokenizer.eos_token_id is not None and tokens[-1] != tokenizer.eos_token_id:
        tokens.append(tokenizer.eos_token_id)
    for begin in range(0, len(tokens), max_length):
        window = tokens[begin : begin + max_length]
        if len(window) > 1:
            yield Encoded(window, list(window), origin)
