"""Models that do not fit beside each other."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from oss.models import choose
from oss.models.memory import MachineMemory
from oss.testing.fakes import FakeAnswer
from oss.testing.gguf_file import TINY, write_gguf
from support.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oss.testing.program import OssHome

ONE = 100 * 2**20
"""What each engine takes of a machine that has this, and a little more."""
SLOW = FakeAnswer("word " * 60, delay_s=0.02)


@pytest.fixture
def narrow(
    server: Callable[..., Any], oss_home: OssHome, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A server of two models on a machine with room for one."""
    values = {**TINY, "llama.context_length": 8192}
    for name in ("один", "two"):
        path = write_gguf(oss_home.cwd / f"{name}.gguf", values)
        oss_home.write(
            f"config/profiles/{name}.toml",
            f"""
            [model]
            name = {json.dumps(str(path))}
            [backend]
            name = "fake"
            """,
        )
    running: list[Any] = []

    def machine(**_: bool) -> MachineMemory:
        taken = sum(ONE for each in running for one in each.service.pool.loaded if one.engine)
        return MachineMemory(ONE + 2**20, ONE + 2**20 - taken)

    from oss.turn import pool

    monkeypatch.setattr(pool, "memory_need", lambda spec: ONE)
    monkeypatch.setattr(choose, "machine_memory", machine)

    from contextlib import contextmanager

    @contextmanager
    def start(**settings: Any) -> Iterator[Any]:
        with server(profiles=("один", "two"), **settings) as live:
            live.service.pool._memory = machine
            running.append(live)
            yield live

    return start


def ask(live: Any, model: str) -> tuple[int, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
    found: tuple[int, Any] = live.post("/v1/chat/completions", body)
    return found


def test_an_idle_one_gives_way(narrow: Callable[..., Any]) -> None:
    with narrow() as live:
        for model in ("один", "two", "один"):
            assert ask(live, model)[0] == 200
            (loaded,) = live.service.pool.loaded
            assert loaded.spec.model.path.stem == model


def test_a_busy_one_is_waited_for(narrow: Callable[..., Any]) -> None:
    with narrow(wait=20.0) as live:
        live.script += [SLOW, "second"]
        found: list[Any] = []
        threads = [
            threading.Thread(target=lambda name=model: found.append((name, ask(live, name)[0])))
            for model in ("один", "two")
        ]
        threads[0].start()
        wait_for(lambda: bool(live.engines) and bool(live.engines[0].requests))
        threads[1].start()
        for thread in threads:
            thread.join(30)
        assert found == [("один", 200), ("two", 200)]


def test_one_that_waits_too_long_is_refused_in_words(narrow: Callable[..., Any]) -> None:
    with narrow(wait=0.3) as live:
        live.script += [FakeAnswer("word " * 400, delay_s=0.02)]
        body = {"model": "один", "messages": [{"role": "user", "content": "x"}], "stream": True}
        first = live.send("POST", "/v1/chat/completions", body)
        assert first.status == 200
        response = live.send("POST", "/v1/chat/completions", {**body, "model": "two"})
        error = json.loads(response.read())["error"]
        assert response.status == 503
        assert response.getheader("retry-after")
        assert error["code"] == "busy"
        assert "two" in error["message"]
        assert "while" in error["message"]


def test_a_profile_that_changes_is_weighed_without_the_engines_of_the_server(
    narrow: Callable[..., Any], oss_home: OssHome
) -> None:
    """Its own engine is what takes the memory: it is not too large for the machine."""
    with narrow() as live:
        assert ask(live, "один")[0] == 200
        for name in ("один", "two"):
            path = oss_home.config / "profiles" / f"{name}.toml"
            text = path.read_text("utf-8") + '[persona]\nsystem = "Be kind."\n'
            path.write_text(text, "utf-8")
            status, found = ask(live, name)
            assert status == 200, found
