"""Fits a prompt into the context, counted by the engine; nothing leaves it without a word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oss.contracts.errors import ContextOverflowError
from oss.turn.passages import with_passages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from oss.contracts.backend import Engine
    from oss.contracts.messages import Message, ToolSpec
    from oss.contracts.retriever import Passage
    from oss.profile.schema import Overflow

LEAST_ANSWER = 64
"""Tokens that must be left for an answer, or the prompt is refused."""

DEFAULT_ANSWER = 1024
"""Tokens kept free for an answer whose length nobody limited."""

TEMPLATE, MESSAGE = 512, 16
"""Tokens that a chat template adds to a prompt, and to each message of it, at the most."""

Exchanges = list[tuple["Message", ...]]
"""Parts of a conversation that begin with a user's message."""

if TYPE_CHECKING:
    Summariser = Callable[[Exchanges, int], Awaitable[tuple[Message, ...] | None]]
    """Makes shorter messages of a conversation, within a number of tokens; ``None``: it cannot."""


@dataclass(frozen=True)
class Fitted:
    """A prompt that fits.

    :param notices: one line for each thing that was left out or changed.
    """

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...] = ()
    left_out: tuple[Passage, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Budget:
    """The room of one turn.

    :param reserve: tokens kept free for the answer.
    :param strict: the model is told to answer from the passages alone.
    :param tail: messages that follow the user's: calls of tools, and their results.
    """

    engine: Engine
    tools: tuple[ToolSpec, ...]
    reserve: int
    strict: bool = False
    tail: tuple[Message, ...] = ()

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.engine.info.context

    @property
    def least(self) -> int:
        """Tokens that must remain for the answer."""
        return min(self.reserve, LEAST_ANSWER)

    async def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that the messages make."""
        return await self.engine.count_tokens(messages, self.tools)

    async def _whole(self, messages: Sequence[Message]) -> int:
        return await self.count((*messages, *self.tail))

    def _surely_fits(self, messages: Sequence[Message]) -> bool:
        """Whether the prompt fits however it is cut into tokens: one has a byte at least. To
        count takes an engine some milliseconds, and many while it answers others.
        """
        whole = (*messages, *self.tail)
        if self.tools or any(message.tool_calls for message in whole):
            return False  # templates show these in forms of their own
        bytes_ = sum(_bytes(message.content + message.reasoning) for message in whole)
        most = bytes_ + MESSAGE * len(whole) + TEMPLATE
        return most + self.reserve <= self.context

    async def fit(
        self,
        opening: Sequence[Message],
        history: Sequence[Message],
        user: Message,
        passages: Sequence[Passage],
        overflow: Overflow,
        summarise: Summariser,
    ) -> Fitted:
        """Put the prompt together: persona, conversation, passages, the user's message. What
        follows it is counted, and not in the result.

        Passages give way first, as far as they take more than half of what persona, user's
        message and answer leave free; then the conversation, as ``overflow`` says.

        :raises ContextOverflowError: it cannot fit, or the profile says to refuse.
        """
        kept = tuple(passages)
        whole = (*opening, *history, self._with(user, kept))
        if self._surely_fits(whole) or await self._whole(whole) + self.reserve <= self.context:
            return Fitted(whole, kept)
        alone = await self._whole((*opening, user))
        notices = []
        room = self.context - self.reserve
        if alone > room:
            room = self.context - self.least
            if alone > room:
                raise self._too_long(alone)
            notices.append(f"only {self.context - alone} tokens are left for the answer")
        if kept:
            bare = await self._whole((*opening, *history, user))
            limit = max(alone + (room - alone) // 2, room - (bare - alone))
            kept = await self._most_passages(opening, user, kept, limit)
        left_out = tuple(passages)[len(kept) :]
        user = self._with(user, kept)
        total = await self._whole((*opening, *history, user))
        if total <= room:
            return Fitted((*opening, *history, user), kept, left_out, tuple(notices))
        if overflow == "refuse":
            raise ContextOverflowError(
                f"the conversation has {total} tokens, the context {self.context} "
                f"({self.context - room} of them for the answer)",
                hint="start a new conversation, or set memory.overflow to drop-oldest or summarise",
            )
        exchanges = split_exchanges(history)
        if overflow == "summarise":
            shortened = await summarise(exchanges, room - await self._whole((*opening, user)))
            if shortened is not None:
                messages = (*opening, *shortened, user)
                total = await self._whole(messages)
                if total <= room:
                    return Fitted(messages, kept, left_out, tuple(notices))
        first = await self._oldest_kept(opening, exchanges, user, room)
        messages = (*opening, *(m for exchange in exchanges[first:] for m in exchange), user)
        notices.append(
            f"the oldest {first} of {len(exchanges)} exchanges are left out: the conversation has "
            f"{total} tokens, the context {self.context}"
        )
        return Fitted(messages, kept, left_out, tuple(notices))

    async def fit_results(
        self, messages: Sequence[Message], first: int
    ) -> tuple[tuple[Message, ...], list[str]]:
        """Shorten tool results, from ``messages[first]`` on, until the prompt fits.

        :raises ContextOverflowError: it does not fit even so.
        """
        fitted = list(messages)
        notices = []
        while (total := await self.count(fitted)) > self.context - self.least:
            results = [i for i in range(first, len(fitted)) if fitted[i].role == "tool"]
            longest = max(results, key=lambda i: len(fitted[i].content), default=None)
            if longest is None or len(fitted[longest].content) < 200:
                raise self._too_long(total)
            text = fitted[longest].content
            keep = len(text) // 2
            cut = f"{text[:keep]}\n[cut here: {len(text) - keep} characters did not fit]"
            fitted[longest] = replace(fitted[longest], content=cut)
            notices.append(
                f"the result of '{fitted[longest].name}' was cut to {keep} characters: it does "
                f"not fit the context of {self.context} tokens"
            )
        return tuple(fitted), notices

    def _with(self, user: Message, passages: Sequence[Passage]) -> Message:
        content = with_passages(user.content, passages, strict=self.strict)
        return replace(user, content=content)

    def _too_long(self, tokens: int) -> ContextOverflowError:
        return ContextOverflowError(
            f"the prompt has {tokens} tokens, the context {self.context} ({self.least} of them "
            "at least for the answer)",
            hint="shorten the prompt, or give more room where the model has it: "
            "--set model.context=N",
        )

    async def _most_passages(
        self,
        opening: Sequence[Message],
        user: Message,
        passages: tuple[Passage, ...],
        limit: int,
    ) -> tuple[Passage, ...]:
        low, high = 0, len(passages)
        while low < high:
            middle = (low + high + 1) // 2
            tokens = await self._whole((*opening, self._with(user, passages[:middle])))
            low, high = (middle, high) if tokens <= limit else (low, middle - 1)
        return passages[:low]

    async def _oldest_kept(
        self, opening: Sequence[Message], exchanges: Exchanges, user: Message, room: int
    ) -> int:
        low, high = 1, len(exchanges)
        while low < high:
            middle = (low + high) // 2
            kept = (m for exchange in exchanges[middle:] for m in exchange)
            fits = await self._whole((*opening, *kept, user)) <= room
            low, high = (low, middle) if fits else (middle + 1, high)
        # In steps, so that the prompt's beginning stays the same for several turns and the
        # engine's cache of it stays good.
        step = max(1, len(exchanges) // 8)
        return min(-(-low // step) * step, len(exchanges))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def answer_reserve(context: int, max_tokens: int | None) -> int:
    """Tokens to keep free for the answer: what was asked for, at most half of the context."""
    if max_tokens is not None:
        return min(max_tokens, context // 2)
    return min(DEFAULT_ANSWER, context // 4)


def split_exchanges(history: Sequence[Message]) -> Exchanges:
    """The history in parts that begin with a user's message: tool calls stay with their results."""
    exchanges: Exchanges = []
    for message in history:
        if message.role == "user" or not exchanges:
            exchanges.append((message,))
        else:
            exchanges[-1] = (*exchanges[-1], message)
    return exchanges
