"""Counts the tokens of examples with the tokenizer and template of a profile's model."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from oss.contracts.messages import Message
    from oss.data.rows import Row
    from oss.turn.session import Session


class TokenCounter:
    """Counts as training does: with the system text of the profile's persona where a row has none.

    :ivar limit: tokens of the longest row that training takes as a whole.
    """

    def __init__(self, session: Session, opening: Sequence[Message], limit: int) -> None:
        self._session = session
        self._opening = tuple(opening)
        self.limit = limit

    async def count(self, row: Row) -> int:
        """Tokens of a row; the model is loaded by the first."""
        from oss.contracts.messages import Message
        from oss.data.views import messages_of

        engine = await self._session.engine()
        if row.kind == "text":
            return await engine.count_tokens([Message("user", row.text)])
        messages = messages_of(row)
        if messages[0].role != "system":
            messages = (*self._opening, *messages)
        return await engine.count_tokens(messages, row.tools if row.kind == "chat" else ())


@asynccontextmanager
async def token_counter(
    profile: str | None, model: str | None, limit: int | None
) -> AsyncIterator[TokenCounter]:
    """A counter; nothing is loaded before it counts.

    :param limit: in place of the profile's `train.max_length` or the model's context.
    :raises OssError: the profile or its model is not there.
    """
    from oss.models import inspect_model
    from oss.plugins.manager import load_plugins
    from oss.profile import resolve_profile
    from oss.turn.session import open_session

    # Tokens are counted without a context; a small one takes no memory.
    sets = ["model.context=512", *([f"model.name={model}"] if model else [])]
    plugins = load_plugins()
    resolved = resolve_profile(profile, sets=sets, plugins=plugins)
    async with open_session(resolved, plugins) as session:
        made = session.ingredients
        limit = limit or made.profile.train.max_length
        if limit is None and made.choice.model.path is not None:
            limit = inspect_model(made.choice.model.path).context_length
        if limit is None:
            limit = (await session.engine()).info.context
        opening = [message for message in made.opening if message.role == "system"]
        if made.profile.train.system != "persona":
            opening = []
        yield TokenCounter(session, opening, limit)
