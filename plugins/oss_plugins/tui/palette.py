"""The command palette: every action with a key, and every `/` command."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from oss.turn.commands import COMMANDS
from oss_plugins.tui.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEEDS_NO_MORE = ("undo", "retry", "clear", "system", "help")


class Actions(Provider):
    """What can be done anywhere."""

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for name, text, run in self._all():
            yield DiscoveryHit(name, run, help=text)

    async def search(self, query: str) -> Hits:
        """What is like the words typed."""
        matcher = self.matcher(query)
        for name, text, run in self._all():
            score = matcher.match(f"{name} {text}")
            if score > 0:
                yield Hit(score, matcher.highlight(f"{name}: {text}"), run)

    def _all(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        screen = self.screen
        for name, entry in KEYS.items():
            if entry.place == "anywhere":
                keys = self.app.settings.keys.get(name, entry.keys)  # type: ignore[attr-defined]
                run = partial(screen.run_action, entry.action)
                yield name.replace("_", " "), f"{entry.text} ({keys})", run
        yield "themes", "choose a theme, until the end", self.app.action_change_theme
        for name, command in COMMANDS.items():
            yield f"/{name}", command.summary, partial(self._write, name)

    async def _write(self, name: str) -> None:
        from oss_plugins.tui.prompt import Prompt

        prompt = self.screen.query_one(Prompt)
        if name in NEEDS_NO_MORE:
            prompt.post_message(Prompt.Sent(f"/{name}"))
        else:
            prompt.set_text(f"/{name} ")
            prompt.focus()
