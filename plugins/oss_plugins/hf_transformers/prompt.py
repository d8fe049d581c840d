"""Messages as token ids, by the model's own chat template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jinja2

from oss.contracts.errors import BackendError, ModelError
from oss.contracts.wire import message_to_wire, tool_to_wire
from oss.engines.calling import template_variables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.chat import Effort
    from oss.contracts.messages import Message, ToolSpec


def prompt_ids(
    tokenizer: Any,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    effort: Effort | None,
) -> list[int]:
    """The tokens of a prompt, the opening of the answer included.

    :raises ModelError: the model has no chat template.
    :raises BackendError: the template refuses these messages.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            "the model has no chat template: it was not made to converse",
            hint="use its instruction-tuned sibling",
        )
    try:
        found = tokenizer.apply_chat_template(
            [_message(message) for message in messages],
            tools=[tool_to_wire(tool) for tool in tools] or None,
            add_generation_prompt=True,
            return_dict=True,
            **template_variables(effort),
        )
    except jinja2.TemplateError as error:
        raise BackendError(f"the model's chat template refuses the messages: {error}") from error
    ids: list[int] = found["input_ids"]
    return ids


def _message(message: Message) -> dict[str, Any]:
    """As templates of this field want it: arguments as objects, thinking under both names."""
    found = message_to_wire(message)
    if message.reasoning:
        found["thinking"] = message.reasoning
    for call in found.get("tool_calls", ()):
        try:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        except ValueError:
            continue  # broken, as the model wrote it: shown as text
    return found
