"""Which sequence a prompt is evaluated in, so that conversations do not evict each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oss_plugins.llamacpp.capi import NoRoomError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss_plugins.llamacpp.capi import Native


@dataclass
class Slot:
    """A sequence and the tokens evaluated in it, under these adapter scales."""

    index: int
    tokens: list[int] = field(default_factory=list)
    scales: tuple[float, ...] = ()
    used: int = 0


class Slots:
    """The sequences of one context."""

    def __init__(self, native: Native, count: int) -> None:
        self._native = native
        self._slots = [Slot(index) for index in range(count)]
        self._clock = 0

    def take(
        self, prompt: Sequence[int], scales: tuple[float, ...], *, reuse: bool
    ) -> tuple[Slot, int]:
        """The slot for a prompt, and how many of its tokens are already evaluated there.

        A conversation that goes on keeps its slot; one that shares only a beginning with
        another (the same persona) gets a slot of its own that begins with a copy.
        """
        self._clock += 1
        oldest = min(self._slots, key=lambda slot: slot.used)
        best, shared = oldest, 0
        for slot in self._slots if reuse else ():
            same = _common(slot.tokens, prompt) if slot.scales == scales else 0
            if same > shared:
                best, shared = slot, same
        shared = min(shared, len(prompt) - 1)  # the last one has to give its logits
        target = best
        if shared and shared < len(best.tokens) - 1 and oldest is not best:
            self._native.copy(best.index, oldest.index)
            target = oldest
        if not self._native.keep(target.index, shared):
            self._native.keep(target.index, 0)
            shared = 0
        target.tokens = list(prompt[:shared])
        target.scales = scales
        target.used = self._clock
        return target, shared

    def decode(self, slot: Slot, tokens: Sequence[int]) -> None:
        """Evaluate tokens at the end of a slot; other conversations give way, oldest first.

        :raises NoRoomError: this conversation alone fills the context.
        """
        while True:
            try:
                self._native.decode(tokens, len(slot.tokens), slot.index)
            except NoRoomError:
                others = [other for other in self._slots if other is not slot and other.tokens]
                if not others:
                    raise
                oldest = min(others, key=lambda other: other.used)
                self._native.keep(oldest.index, 0)
                oldest.tokens = []
            else:
                slot.tokens += tokens
                return


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
