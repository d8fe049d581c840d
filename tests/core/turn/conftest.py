from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.backend import Capability, EngineInfo
from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl
from oss.plugins.discovery import EntryPoint
from oss.plugins.manager import Plugins
from oss.profile import resolve_profile
from oss.testing.fakes import FakeEngine
from oss.turn.session import open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from oss.contracts.backend import Backend
    from oss.contracts.tool import Tool
    from oss.testing.program import OssHome
    from oss.turn.events import Event
    from oss.turn.session import Session

PARTS = "oss_test_parts"


class Parts:
    """A plugin whose tools and retrievers are objects of the test."""

    def __init__(self) -> None:
        self.module = ModuleType(PARTS)
        self.kinds: dict[str, str] = {}

    def add(self, kind: str, name: str, part: object) -> None:
        setattr(self.module, name, lambda **_: part)
        self.kinds[name] = kind

    def add_backend(self, backend: type[Backend]) -> None:
        setattr(self.module, backend.name, backend)
        self.kinds[backend.name] = "backends"

    def _of(self, kind: str) -> list[Descriptor]:
        return [
            Descriptor(name, "of the test", f"{PARTS}:{name}")
            for name, its in self.kinds.items()
            if its == kind
        ]

    @hookimpl
    def oss_backends(self) -> list[Descriptor]:
        return self._of("backends")

    @hookimpl
    def oss_tools(self) -> list[Descriptor]:
        return self._of("tools")

    @hookimpl
    def oss_retrievers(self) -> list[Descriptor]:
        return self._of("retrievers")


class Bench:
    """Makes sessions over a fake engine."""

    def __init__(self) -> None:
        self.parts = Parts()
        self.plugins = Plugins([EntryPoint("fakes", "oss.testing.plugin", "oss", "1")])
        self.plugins.manager.register(self.parts, name="parts")
        self.engine = FakeEngine(EngineInfo("fake", "fake", 4096, frozenset(Capability)), [])

    def script(self, *answers: Any, context: int = 4096) -> None:
        self.engine = FakeEngine(
            EngineInfo("fake", "fake", context, frozenset(Capability)), list(answers)
        )

    def tool(self, tool: Tool) -> str:
        self.parts.add("tools", tool.spec.name, tool)
        return f'tools.allow=["{tool.spec.name}"]'

    def open(self, *sets: str, **options: Any) -> AbstractAsyncContextManager[Session]:
        given = ("model.name=fake:x", "backend.name=fake", 'persona.system="Be kind."', *sets)
        resolved = resolve_profile("base", sets=given, plugins=self.plugins)
        options.setdefault("engine", self.engine)
        return open_session(resolved, self.plugins, **options)


@pytest.fixture
def bench(oss_home: OssHome) -> Iterator[Bench]:
    made = Bench()
    sys.modules[PARTS] = made.parts.module
    yield made
    del sys.modules[PARTS]


async def collect(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


@pytest.fixture
def gathered() -> Callable[[AsyncIterator[Event]], Any]:
    return collect
