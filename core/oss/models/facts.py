"""What a model's files say of it: size, layers, context, template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from oss.models.cached import FileStamp


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """A model as its header or configuration describes it; 0 or empty where nothing is said.

    :ivar parameters: numbers in the weights.
    :ivar active_parameters: those that take part in one token; fewer with experts.
    :ivar experts: per layer; 0 for a dense model. ``active_experts`` answer a token.
    :ivar context_length: tokens it was trained for.
    :ivar kv_bytes_per_token: memory of one token's keys and values at 16 bits, over the layers
        that see the whole context.
    :ivar window_bytes_per_token: the same over the layers that see only the last ``window`` tokens.
    :ivar state_bytes: recurrent state of one sequence, whatever its length.
    :ivar file_size: bytes of the weights, all parts together.
    """

    format: str
    architecture: str
    name: str = ""
    parameters: int = 0
    active_parameters: int = 0
    experts: int = 0
    active_experts: int = 0
    quantisation: str = ""
    context_length: int = 0
    layers: int = 0
    embedding_length: int = 0
    heads: int = 0
    kv_heads: int = 0
    vocabulary: int = 0
    kv_bytes_per_token: int = 0
    window: int = 0
    window_bytes_per_token: int = 0
    state_bytes: int = 0
    chat_template: str = ""
    licence: str = ""
    file_size: int = 0
    parts: int = 1

    @property
    def knows_tools(self) -> bool:
        """Whether the chat template has a place for tools."""
        return "tools" in self.chat_template

    @property
    def knows_reasoning(self) -> bool:
        """Whether the chat template has a place for thinking."""
        return any(
            mark in self.chat_template
            for mark in ("<think>", "enable_thinking", "reasoning_effort", "<|channel", "thinking")
        )


def inspect_model(path: Path) -> ModelFacts:
    """The facts of a GGUF file (with all its parts) or of a folder with ``config.json``.

    Remembered by path, size and time of change, so that the next call costs a ``stat``.

    :raises ModelError: absent, broken, cut short, or neither form.
    """
    from oss.models import cached

    stamp: FileStamp = cached.stamp(path)
    known = cached.load_facts(stamp)
    if known is not None:
        return known
    if path.is_dir():
        from oss.models.hf_config import facts_of_folder

        facts = facts_of_folder(path)
    else:
        from oss.models.gguf_facts import facts_of_gguf

        facts = facts_of_gguf(path)
    cached.save_facts(stamp, facts)
    return facts
