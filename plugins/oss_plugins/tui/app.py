"""The application: themes, keys, and the screens that it begins with and ends on."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from textual.app import App

from oss_plugins.tui.chat_screen import ChatScreen
from oss_plugins.tui.themes import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.command import Provider
    from textual.driver import Driver
    from textual.screen import Screen

    from oss.plugins.manager import Plugins
    from oss.turn.choices import Choices
    from oss_plugins.tui.settings import Settings


@dataclass(frozen=True)
class Start:
    """What the command line asks for.

    :param conversation: to go on with; ``go_on`` means the last one.
    :param keys: remapped by the user.
    :param plugins: in place of those that are installed.
    """

    choices: Choices
    conversation: int | None = None
    go_on: bool = False
    keep: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    plugins: Plugins | None = None


class OssApp(App[int]):
    """``oss tui``."""

    TITLE = "oss"
    COMMANDS = {lambda: _actions()}  # noqa: RUF012  as Textual has it; imported when it is opened
    CSS_PATH = "tui.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  as Textual has it

    def __init__(self, start: Start, settings: Settings) -> None:
        super().__init__()
        self.start = replace(start, keys=settings.keys)
        self.settings = settings
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = settings.theme  # before the first picture, which is not painted twice

    def get_driver_class(self) -> type[Driver]:
        """One that can do without a terminal at the end."""
        chosen = super().get_driver_class()
        if sys.platform == "win32":
            return chosen
        from textual.drivers.linux_driver import LinuxDriver

        from oss_plugins.tui.terminal import Terminal

        return Terminal if chosen is LinuxDriver else chosen

    def get_default_screen(self) -> Screen[None]:
        """The chat."""
        return ChatScreen(self.start, self.size.width)

    def on_mount(self) -> None:
        """Keys, and an end in good order when the terminal goes away."""
        self.set_keymap(self.settings.keys)
        if sys.platform != "win32":
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._ended_by, number)

    def _ended_by(self, number: int) -> None:
        self.run_worker(self._leave(128 + number))

    async def action_quit(self) -> None:
        """Stop the answer, keep what came, free the engine, end."""
        self.run_worker(self._leave(0))

    async def _leave(self, code: int) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, ChatScreen):
                await screen.close()
        self.exit(code, return_code=code)

    def action_theme(self) -> None:
        """Light or dark."""
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name


def _actions() -> type[Provider]:
    from oss_plugins.tui.palette import Actions

    return Actions
