"""Only what changed is read, embedded and written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from oss.retrieval.indexing.vectors import cache_path
from support.indexing import Place

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssHome

pytest.importorskip("qdrant_edge")


def write(path: Path, *paragraphs: str, age: int = 100) -> Path:
    """A text whose time of change lies in the past, as that of most files does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(paragraphs), encoding="utf-8")
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


@pytest.fixture
def place(oss_home: OssHome) -> Place:
    folder = oss_home.cwd / "docs"
    long = "Слово за слово идёт длинный абзац о настройке. " * 12
    write(folder / "guide.md", "# Guide", *(f"{long} Номер {n}." for n in range(10)))
    write(folder / "deep" / "other.txt", "Another text about something else entirely.")
    return Place(oss_home.path, folder, words=120)


def test_the_second_run_has_nothing_to_do(place: Place) -> None:
    first = place.sync()
    assert (first.added, first.unchanged, first.faults) == (2, 0, {})
    assert first.embedded == len(place.embedder.texts) == 11
    before = place.state()
    second = place.sync()
    assert (second.added, second.changed, second.unchanged, second.embedded) == (0, 0, 2, 0)
    assert place.embedder.texts == []
    assert place.state() == before


def test_an_edited_paragraph_embeds_itself(place: Place) -> None:
    place.sync()
    file = place.folder / "guide.md"
    text = file.read_text(encoding="utf-8").replace("Номер 4.", "Номер другой, изменённый.")
    write(file, text, age=50)
    report = place.sync()
    assert (report.changed, report.embedded, report.kept) == (1, 1, 9)
    assert ["изменённый" in text for text in place.embedder.texts] == [True]
    assert not [text for text in place.texts() if "Номер 4." in text]


def test_a_renamed_file_embeds_nothing(place: Place) -> None:
    place.sync()
    (place.folder / "guide.md").rename(place.folder / "руководство.md")
    cache_path(place.embedder.fingerprint).unlink()  # not even without the cache
    report = place.sync()
    assert (report.added, report.removed, report.embedded) == (1, 1, 0)
    assert place.embedder.texts == []
    fresh = place.state()["points"]
    assert {meta["source"] for _, meta, _, _ in fresh.values()} == {
        str(place.folder / "руководство.md"),
        str(place.folder / "deep" / "other.txt"),
    }


def test_text_that_moves_between_files_is_not_embedded_again(place: Place) -> None:
    place.sync()
    write(place.folder / "copy.txt", "Another text about something else entirely.")
    assert place.sync().embedded == 0


def test_a_removed_file_is_taken_out(place: Place) -> None:
    place.sync()
    (place.folder / "guide.md").unlink()
    report = place.sync()
    assert (report.removed, report.unchanged) == (1, 1)
    assert place.texts() == ["Another text about something else entirely."]


def test_a_touched_file_is_read_and_left_alone(place: Place) -> None:
    place.sync()
    os.utime(place.folder / "guide.md")
    report = place.sync()
    assert (report.changed, report.unchanged, report.embedded) == (0, 2, 0)


def test_a_change_within_the_grain_of_the_clock_is_noticed(place: Place) -> None:
    file = write(place.folder / "new.txt", "first version", age=0)
    place.sync()
    info = file.stat()
    file.write_text("other version", encoding="utf-8")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert file.stat().st_size == info.st_size
    assert place.sync().changed == 1
    assert "other version" in place.texts()


def test_full_reads_what_neither_size_nor_time_shows(place: Place) -> None:
    file = place.folder / "deep" / "other.txt"
    place.sync()
    info = file.stat()
    file.write_text(file.read_text().replace("else", "more"), encoding="utf-8")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert place.sync().changed == 0
    assert place.sync(full=True).changed == 1


def test_steps_end_in_the_state_of_one_run(place: Place, tmp_path: Path) -> None:
    """However the files came, the collection is the same."""
    place.sync()
    write(place.folder / "third.md", "# Third", "With a text of its own.")
    place.sync()
    write(place.folder / "guide.md", "# Guide", "Все абзацы стали короче.", age=10)
    place.sync()
    (place.folder / "deep" / "other.txt").unlink()
    place.sync()
    other = Place(tmp_path / "second", place.folder, words=120)
    stepwise = place.state()
    place.store.drop("work")
    assert other.sync().added == 2
    assert {**other.state(), "rows": 0} == {**stepwise, "rows": 0}


def test_a_file_that_breaks_leaves_the_collection(place: Place) -> None:
    """What it said before is no longer what it says."""
    place.sync()
    (place.folder / "deep" / "other.txt").write_bytes(bytes(range(32)) * 100)
    report = place.sync()
    assert report.faults == {str(place.folder / "deep" / "other.txt"): "is binary, not text"}
    assert len(place.texts()) == 10
    again = place.sync()
    assert again.faults == report.faults


def test_a_root_that_is_not_there_keeps_its_chunks(place: Place) -> None:
    """A disk that is not mounted is no reason to forget what was on it."""
    place.sync()
    place.folder.rename(place.folder.with_name("away"))
    report = place.sync()
    assert report.removed == 0
    assert list(report.faults) == [str(place.folder)]
    assert len(place.texts()) == 11


def test_a_damaged_cache_is_begun_anew(place: Place) -> None:
    cache = cache_path(place.embedder.fingerprint)
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"no database at all" * 100)
    assert place.sync().embedded == 11


def test_a_file_that_vanishes_while_it_is_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oss.retrieval.indexing import indexer

    real = indexer.find_files

    def then_gone(roots: object) -> object:
        found = real(roots)  # type: ignore[arg-type]
        (place.folder / "guide.md").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(indexer, "find_files", then_gone)
    report = place.sync()
    assert report.faults == {str(place.folder / "guide.md"): "no such file or directory"}
    assert report.added == 1
    monkeypatch.undo()
    assert place.sync().faults == {}
