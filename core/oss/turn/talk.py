"""A person's talk with a model: the chat that follows the choices made over a profile.

The chat of ``oss run`` and the screen of ``oss tui`` are two faces of this.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError
from oss.turn.chat import Chat, StoredSummaries
from oss.turn.choices import Choices
from oss.turn.ingredients import gather, parse_adapter
from oss.turn.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.messages import Message
    from oss.plugins.manager import Plugins
    from oss.profile import ResolvedProfile
    from oss.store import Store
    from oss.turn.attachments import Attachment
    from oss.turn.ingredients import Ingredients


class Talk:
    """One person, one conversation at a time, one model at a time.

    :param keep: write conversations to the store, or only read from it.
    :ivar chat: the conversation; there is one after :meth:`begin`.
    :ivar choices: what it runs with.
    :ivar attached: files that go with the next prompt.
    """

    def __init__(self, plugins: Plugins, store: Store | None, *, keep: bool = True) -> None:
        self.plugins = plugins
        self.store = store
        self.keep = keep
        self.choices = Choices()
        self.attached: list[Attachment] = []
        self._chat: Chat | None = None

    @property
    def chat(self) -> Chat:
        """The conversation.

        :raises ConfigError: nothing could be opened yet.
        """
        if self._chat is None:
            raise ConfigError("there is no model to talk to yet", hint="choose one: /model NAME")
        return self._chat

    @property
    def ready(self) -> bool:
        """Whether :meth:`begin` has come to its end."""
        return self._chat is not None

    @property
    def made(self) -> Ingredients:
        """What the next turn is made with."""
        return self.chat.session.ingredients

    async def begin(self, choices: Choices, conversation_id: int | None = None) -> None:
        """Open, or go on with other choices; on an error everything stays as it was. Loads no
        model; where model, engine and adapters stay the same, the open engine is taken over.

        :param conversation_id: the one to be in; its profile is used where none is chosen.
            ``None`` stays in the present one.
        :raises OssError: the choices are wrong.
        """
        resolved = self._resolve(choices, conversation_id)
        # Files are read and backends imported: not where a screen is drawn.
        made = await asyncio.to_thread(self._gather, resolved, choices.adapters)
        summaries = StoredSummaries(self.store) if self.store is not None and self.keep else None
        session = Session(made, self.plugins, summaries=summaries)
        before = self._chat
        if before is None or conversation_id is not None:
            # A long conversation takes its time to be read.
            chat = await asyncio.to_thread(
                Chat, session, self.store, conversation_id, keep=self.keep
            )
        else:
            chat = Chat(session, self.store, keep=self.keep)
            chat.take_over(before)
        if before is not None:
            session.take_engine(before.session)
            await before.session.close()
        self.choices, self._chat = choices, chat

    def _resolve(self, choices: Choices, conversation_id: int | None) -> ResolvedProfile:
        from oss.profile import resolve_profile

        name = choices.profile
        if name is None and conversation_id is not None and self.store is not None:
            name = self.store.conversation(conversation_id).profile or None
        return resolve_profile(name, sets=choices.all_sets(), plugins=self.plugins)

    def _gather(self, resolved: ResolvedProfile, adapters: Sequence[str]) -> Ingredients:
        return gather(resolved, self.plugins, [parse_adapter(text) for text in adapters])

    def go_to(self, conversation_id: int) -> None:
        """Be in another conversation, with the same model and profile.

        :raises UsageError: there is none of this id.
        """
        self._chat = Chat(self.chat.session, self.store, conversation_id, keep=self.keep)

    def take_attached(self) -> list[Attachment]:
        """The files for this prompt; the next one has none."""
        attached, self.attached = self.attached, []
        return attached

    @property
    def history(self) -> list[Message]:
        """The messages of the conversation so far."""
        return self._chat.history if self._chat else []

    async def close(self) -> None:
        """Free the engine."""
        if self._chat is not None:
            await self._chat.session.close()
            self._chat = None
