from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("textual")

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl
from oss.plugins.discovery import EntryPoint
from oss.plugins.manager import Plugins
from oss.testing.fakes import FakeBackend
from oss.turn.choices import Choices
from oss_plugins.tui.app import OssApp, Start
from oss_plugins.tui.chat_screen import ChatScreen
from oss_plugins.tui.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from textual.pilot import Pilot

    from oss.testing.program import OssHome

PARTS = "oss_tui_test_parts"
CAPABILITIES = frozenset(
    {"tools", "json_schema", "logprobs", "reasoning", "adapters", "per_request_adapters"}
)


class Rig:
    """The application over a scripted engine.

    :ivar backend: the one that every session opens; its ``script`` may be added to at any time.
    """

    def __init__(self, home: OssHome) -> None:
        self.home = home
        self.backend = FakeBackend()
        self.module = ModuleType(PARTS)
        rig = self

        class Scripted(FakeBackend):
            name = "scripted"

            def open(self, *given: Any) -> Any:
                return rig.backend.open(*given)

        self.module.backend = Scripted  # type: ignore[attr-defined]
        self.retrievers: dict[str, Any] = {}
        self.tools: dict[str, Any] = {}

    def plugins(self) -> Plugins:
        plugins = Plugins(
            [
                EntryPoint("fakes", "oss.testing.plugin", "oss", "1"),
                EntryPoint("sources", "oss_plugins.sources", "oss", "1"),
            ]
        )
        plugins.manager.register(self, name="parts")
        return plugins

    @hookimpl
    def oss_backends(self) -> list[Descriptor]:
        return [
            Descriptor("scripted", "of the test", f"{PARTS}:backend", capabilities=CAPABILITIES)
        ]

    @hookimpl
    def oss_retrievers(self) -> list[Descriptor]:
        return [self._part(name, part) for name, part in self.retrievers.items()]

    @hookimpl
    def oss_tools(self) -> list[Descriptor]:
        return [self._part(name, part) for name, part in self.tools.items()]

    def _part(self, name: str, part: Any) -> Descriptor:
        setattr(self.module, name, lambda **_: part)
        return Descriptor(name, "of the test", f"{PARTS}:{name}")

    def app(
        self, *, keys: dict[str, str] | None = None, theme: str = "oss-dark", **start: Any
    ) -> OssApp:
        sets = start.pop("sets", ())
        choices = Choices(
            profile=start.pop("profile", None),
            model=start.pop("model", "fake:one"),
            backend=start.pop("backend", "scripted"),
            adapters=start.pop("adapters", ()),
            sets=sets,
        )
        return OssApp(Start(choices, plugins=self.plugins(), **start), Settings(theme, keys or {}))

    @asynccontextmanager
    async def running(
        self, size: tuple[int, int] = (120, 40), **start: Any
    ) -> AsyncIterator[Driver]:
        app = self.app(**start)
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, pilot)
            if start.get("model", "fake:one"):
                await driver.until(lambda: driver.screen.opened.is_set())
            yield driver
            await driver.screen.close()


class Driver:
    """What a person does and sees."""

    def __init__(self, app: OssApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> ChatScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, ChatScreen))

    async def type(self, text: str) -> None:
        for char in text:
            await self.pilot.press({" ": "space", "\n": "ctrl+j"}.get(char, char))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def say(self, text: str) -> None:
        before = self.screen.turns.last
        self.screen.prompt.focus()
        self.screen.prompt.set_text(text)
        await self.press("enter")

        def said() -> bool:
            if text.startswith("/"):
                return all(w.is_finished for w in self.app.workers if w.group == "command")
            last = self.screen.turns.last
            return last is not None and last is not before and not self.screen.busy

        await self.until(said)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], Any], seconds: float = 20) -> None:
        for _ in range(int(seconds / 0.02)):
            await self.pilot.pause(0.02)
            if condition():
                return
        raise AssertionError(f"it did not come to that; on the screen:\n{self.text}")

    async def shows(self, *texts: str) -> None:
        def there() -> bool:
            seen = self.text
            return all(text in seen for text in texts)

        await self.until(there)

    @property
    def text(self) -> str:
        """The characters on the screen, line by line."""
        screen = self.app.screen
        height = self.app.size.height
        lines = screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in lines[:height])


@pytest.fixture
def rig(oss_home: OssHome, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    rig = Rig(oss_home)
    sys.modules[PARTS] = rig.module
    yield rig
    del sys.modules[PARTS]
