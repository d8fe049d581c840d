"""One store in several threads: a screen reads it behind itself, and writes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from oss.contracts.messages import Message
from oss.store import Setup, Store

if TYPE_CHECKING:
    from pathlib import Path

SETUP = Setup("base", "0" * 64, "fake:one", "fake", None)
WRITERS, EACH = 4, 25


def test_threads_wait_for_each_other(tmp_path: Path) -> None:
    with Store(tmp_path / "c.db") as store:

        def write(writer: int) -> None:
            number = store.create(f"писатель {writer}")
            for turn in range(EACH):
                user = Message("user", f"вопрос {writer} {turn}")
                begun = store.begin_turn(number, user, SETUP)
                store.end_turn(begun, "done", [user, Message("assistant", f"ответ {turn}")])
                assert len(store.turns(number)) == turn + 1
                assert store.search("ответ")

        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(write, range(WRITERS)))
        assert [one.turns for one in store.conversations()] == [EACH] * WRITERS
