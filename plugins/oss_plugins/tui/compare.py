"""One prompt, two profiles, side by side."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from oss.contracts.errors import ModelError, OssError
from oss.turn.untrusted import printable
from oss_plugins.tui.dialogs import AskConsent, Pick
from oss_plugins.tui.history import History
from oss_plugins.tui.prompt import Prompt
from oss_plugins.tui.records import Record
from oss_plugins.tui.turns import TurnView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.worker import Worker

    from oss.contracts.messages import ToolCall
    from oss.plugins.manager import Plugins
    from oss.turn.choices import Choices
    from oss.turn.talk import Talk


class Side(Vertical):
    """One of the two: a talk of its own, of which nothing is kept."""

    class Finished(Message):
        """A turn of this side came to its end."""

        def __init__(self, view: TurnView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, name: str, talk: Talk, choices: Choices) -> None:
        super().__init__(id=name, classes="side")
        self.talk = talk
        self.choices = choices
        self.trouble: OssError | None = None

    def compose(self) -> ComposeResult:
        yield Static(classes="name")
        yield History(id=f"{self.id}-turns")

    async def begin(self, choices: Choices) -> None:
        """Open, or go on with another profile."""
        self.trouble = None
        try:
            try:
                await self.talk.begin(choices)
            except ModelError:
                # Its own model is not here; what is compared may well be the rest of it.
                if choices.model is not None or self.choices.model is None:
                    raise
                choices = choices.with_model(self.choices.model)
                await self.talk.begin(choices)
        except OssError as error:
            self.trouble = error
        else:
            self.choices = choices
            self.talk.chat.session.load()
        self._show()

    def _show(self) -> None:
        if self.trouble is not None:
            hint = f"\n→ {self.trouble.hint}" if self.trouble.hint else ""
            line = f"✗ {self.trouble.message}{hint}"
        else:
            made = self.talk.made
            adapters = "".join(f" + {adapter.name}" for adapter in made.adapters)
            line = f"{made.resolved.name}  {Path(made.choice.model.name).name}{adapters}"
        self.query_one(".name", Static).update(Content(printable(line)))

    async def answer(self, prompt: str) -> None:
        """Put the answer of this side on the screen."""
        if not self.talk.ready:
            return
        made = self.talk.made
        record = Record(prompt, self.talk.chat.answered)
        record.profile, record.model = made.resolved.name, made.choice.model.name
        view = TurnView(record)
        await self.query_one(History).add(view)
        try:
            async with aclosing(self.talk.chat.say(prompt, consent=self._consent)) as events:
                async for event in events:
                    view.feed.put(event)
        except asyncio.CancelledError:
            record.state = "cancelled"
            raise
        except OssError as error:
            record.state, record.error, record.hint = "failed", error.message, error.hint or ""
        finally:
            self.post_message(self.Finished(view))

    async def on_side_finished(self, event: Finished) -> None:
        """The last of it."""
        await event.view.finish()

    async def on_turn_view_arrived(self, event: TurnView.Arrived) -> None:
        """Put what came on the screen."""
        event.stop()
        await event.view.drain()

    async def _consent(self, call: ToolCall) -> bool:
        return await self.app.push_screen_wait(AskConsent(call)) in ("yes", "always")


class CompareScreen(Screen[None]):
    """Two sides and one prompt. They answer one after the other, so that neither slows the other
    and their numbers can be compared.

    :param left: what the chat runs with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "profile('left')", "Left profile", priority=True),
        Binding("f3", "profile('right')", "Right profile", priority=True),
        Binding("escape", "back", "Stop, then back"),
    ]
    AUTO_FOCUS = "Prompt"

    def __init__(self, plugins: Plugins, left: Choices, remapped: Mapping[str, str]) -> None:
        super().__init__()
        self._plugins = plugins
        self._left = left
        self._remapped = remapped
        self._work: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        from oss.turn.talk import Talk

        with Horizontal():
            for name in ("left", "right"):
                yield Side(name, Talk(self._plugins, None, keep=False), self._left)
        yield Static(Content("nothing of a comparison is kept"), id="told", classes="-shown")
        yield Prompt("One prompt for both", self._remapped)
        yield Footer(compact=True)

    @property
    def sides(self) -> list[Side]:
        """Left and right."""
        return list(self.query(Side))

    def on_mount(self) -> None:
        """The left is as the chat was; the right is asked for."""
        self.query_one("#right").add_class("-right")
        self.run_worker(self._begin())

    async def _begin(self) -> None:
        await self.sides[0].begin(self._left)
        await self._choose(self.sides[1])

    async def _choose(self, side: Side) -> None:
        from oss_plugins.tui.choosing import choices_of

        items, _ = await asyncio.to_thread(choices_of, "profile", side.talk)
        question = f"Which profile at the {side.id}?"
        current = side.talk.made.resolved.name if side.talk.ready else None
        chosen = await self.app.push_screen_wait(Pick(question, items, current))
        if chosen is not None:
            await side.begin(side.choices.with_profile(chosen))

    def action_profile(self, name: str) -> None:
        """Another profile for a side."""
        if not self.busy:
            self.run_worker(self._choose(self.query_one(f"#{name}", Side)))

    @property
    def busy(self) -> bool:
        """Whether answers are coming."""
        return self._work is not None and not self._work.is_finished

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        """To both."""
        if self.busy:
            self.query_one(Prompt).set_text(event.text)
            return
        self._work = self.run_worker(self._both(event.text), exit_on_error=False)

    async def _both(self, prompt: str) -> None:
        for side in self.sides:
            await side.answer(prompt)

    async def action_back(self) -> None:
        """Stop the answers; back to the chat, if there are none."""
        if self.busy and self._work is not None:
            self._work.cancel()
            return
        for side in self.sides:
            await side.talk.close()
        self.dismiss()
