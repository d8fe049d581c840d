"""A model's chat template, rendered as llama-cpp-python does (sandboxed Jinja)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import BackendError, ModelError
from oss.contracts.wire import message_to_wire, tool_to_wire
from oss.engines.calling import template_variables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.chat import Effort
    from oss.contracts.messages import Message, ToolSpec


class Template:
    """The chat template of a model.

    :raises ModelError: the model has none, or it is no Jinja.
    """

    def __init__(self, source: str, bos: str, eos: str) -> None:
        import jinja2
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        if not source:
            raise ModelError(
                "the model has no chat template", hint="set chat_template in [backend.llamacpp]"
            )
        self.source = source
        self._failure = jinja2.TemplateError
        try:
            self._render = Jinja2ChatFormatter(source, eos_token=eos, bos_token=bos)
        except jinja2.TemplateError as error:
            raise ModelError(f"the model's chat template cannot be read: {error}") from error

    def render(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], effort: Effort | None
    ) -> str:
        """The prompt that these messages make, the opening of the answer included.

        :raises BackendError: the template refuses them.
        """
        try:
            found = self._render(
                messages=[_message(message) for message in messages],
                tools=[tool_to_wire(tool) for tool in tools] or None,
                **template_variables(effort),
            )
        except (self._failure, ValueError) as error:
            raise BackendError(f"the model's chat template refuses this: {error}") from error
        prompt: str = found.prompt
        return prompt


def _message(message: Message) -> dict[str, Any]:
    """As templates expect it: arguments as an object, thinking also under gpt-oss's name."""
    wire = message_to_wire(message)
    if message.reasoning:
        wire["thinking"] = message.reasoning
    for call in wire.get("tool_calls", ()):
        try:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        except json.JSONDecodeError:
            continue  # broken as the model wrote it: it stays text
    return wire
