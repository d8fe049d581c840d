"""Collections copied between stores of different kinds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import StorageError
from oss.retrieval.completing import complete_store
from oss.retrieval.moving import migrate
from oss.testing.conformance.store import SETTINGS, make_point
from oss.testing.fake_store import FakeCollection, FakeStore
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss.contracts.store import Collection, Point

pytest.importorskip("qdrant_edge")


def told(done: int, total: int, what: str) -> None:
    """Nobody watches."""


def filled(folder: Path) -> QdrantStore:
    store = QdrantStore(folder)
    with store.create("work", SETTINGS) as collection:
        collection.upsert([make_point(n) for n in range(600)])
    return store


def rows(collection: Collection) -> dict[str, tuple[str, dict[str, object]]]:
    return {point.id: (point.text, dict(point.metadata)) for point in collection.scroll()}


def test_there_and_back_through_a_store_without_words(tmp_path: Path) -> None:
    one = filled(tmp_path / "one")
    other = complete_store(FakeStore(), tmp_path)
    moved = migrate(one, "work", other, "copy", told)
    assert (moved.points, moved.overlap) == (600, 1.0)
    back = migrate(other, "copy", QdrantStore(tmp_path / "back"), "work", told)
    assert (back.points, back.overlap) == (600, 1.0)
    with one.open("work") as old, QdrantStore(tmp_path / "back").open("work") as new:
        assert rows(old) == rows(new)
        assert old.settings == new.settings


class _Forgetful(FakeStore):
    """Collections that keep something else than they were given."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def create(self, name, settings):  # type: ignore[no-untyped-def]
        self.collections[name] = _Careless(name, settings, self.kind)
        return self.collections[name]


class _Careless(FakeCollection):
    def __init__(self, name, settings, kind: str) -> None:  # type: ignore[no-untyped-def]
        super().__init__(name, settings)
        self.kind = kind

    def upsert(self, points: Sequence[Point]) -> None:
        changed = {
            "loses some": points[1:],
            "mixes vectors up": [
                replace(p, dense=q.dense)
                for p, q in zip(points, [*points[7:], *points[:7]], strict=True)
            ],
            "cuts texts": [replace(p, text=p.text[:5]) for p in points],
        }
        super().upsert(changed[self.kind])


@pytest.mark.parametrize("kind", ["loses some", "mixes vectors up", "cuts texts"])
def test_a_copy_that_is_not_the_same_is_removed_again(tmp_path: Path, kind: str) -> None:
    target = _Forgetful(kind)
    with pytest.raises(StorageError, match="removed again"):
        migrate(filled(tmp_path), "work", target, "copy", told)
    assert target.list() == []
