"""No model is here: the screen offers one, fetches it with progress, and goes on."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from oss.contracts.descriptors import Descriptor
from oss.contracts.errors import NetworkError
from oss.contracts.model import CatalogueEntry, LocalModel, ModelSource
from oss.hookspecs import hookimpl

PROFILE = '[model]\nname = "tiny"\n[backend]\nname = "scripted"\n'


class Source(ModelSource):
    scheme = "shop"
    here: ClassVar[set[str]] = set()
    fails: ClassVar[list[Exception]] = []

    def find(self, rest: str) -> LocalModel | None:
        return LocalModel(rest, f"shop:{rest}", "remote") if rest in self.here else None

    def pull(self, rest: str, progress: Any, *, sha256: str | None = None) -> LocalModel:
        if self.fails:
            raise self.fails.pop()
        for done in range(0, 101, 20):
            progress(done * 1_000_000, 100_000_000, "tiny.gguf")
            time.sleep(0.12)
        self.here.add(rest)
        return LocalModel(rest, f"shop:{rest}", "remote")

    def list(self) -> list[LocalModel]:
        return []


class Shop:
    @hookimpl
    def oss_model_sources(self) -> list[Descriptor]:
        return [Descriptor("shop", "of the test", f"{__name__}:Source")]

    @hookimpl
    def oss_models(self) -> list[CatalogueEntry]:
        return [CatalogueEntry("tiny", "a small one", ("shop:tiny",), "MIT", 100_000_000)]


async def test_a_model_is_fetched_and_the_chat_goes_on(rig: Any, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    Source.here.clear()
    Source.fails[:] = [NetworkError("the network is gone", hint="try again")]
    rig.home.write("config/profiles/мой.toml", PROFILE)
    plain = rig.plugins

    def plugins() -> Any:
        made = plain()
        made.manager.register(Shop(), name="shop")
        return made

    monkeypatch.setattr(rig, "plugins", plugins)
    async with rig.running(profile="мой", model=None, backend=None) as d:
        await d.shows("No model is here yet. Fetch one?", "tiny", "100 MB")
        await d.press("enter")
        await d.shows("✗ the network is gone", "→ try again")
        await d.press("enter")
        await d.shows("of 100 MB")
        await d.until(lambda: d.screen.opened.is_set())
        await d.say("привет")
        await d.until(lambda: d.screen.turns.last.record.answer)


def _this_module() -> Any:
    from types import ModuleType

    module = ModuleType(__name__)
    module.__dict__.update(globals())
    return module
