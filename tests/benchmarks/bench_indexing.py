"""Sync of an unchanged tree against looking at its files, and what small changes cost.

    python tests/benchmarks/bench_indexing.py [--rounds 30] [--files 1000] [--json]

The base walks the tree with ``os.walk`` and calls ``os.stat`` for every file. The sync is the
whole of what ``oss docs sync`` does after start-up: manifest, lock, walk, comparison, report.
Embedding is counted in texts, which no slow machine changes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.common import interleaved, parser, ratio, report
from oss.cli.docs_indexing import Task
from oss.plugins.manager import load_plugins
from oss.retrieval.indexing.manifest import indexing
from oss.retrieval.indexing.roots import Root
from support.indexing import Place

if TYPE_CHECKING:
    from collections.abc import Callable


def make_tree(folder: Path, files: int) -> None:
    """Texts of a few paragraphs in folders of fifty, changed some time ago."""
    for number in range(files):
        path = folder / f"part {number // 50}" / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = (f"Paragraph {part} of text {number}. " * 12 for part in range(4))
        path.write_text("\n\n".join(parts), encoding="utf-8")
        os.utime(path, (time.time() - 100,) * 2)


def look(folder: Path) -> None:
    """Walk, and stat every file."""
    for top, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(top, name))  # noqa: PTH116, PTH118


def timed(what: Callable[[], object], clock: Callable[[], float]) -> Callable[[], float]:
    """The time of a call by a clock, in seconds."""

    def measure() -> float:
        begun = clock()
        what()
        return clock() - begun

    return measure


def changes(place: Place) -> dict[str, int]:
    """Texts embedded when a paragraph is edited, a file renamed, a file touched."""
    file = place.folder / "part 0" / "7.md"
    found = {}
    file.write_text(file.read_text().replace("Paragraph 2 of", "Edited paragraph of"))
    found["one paragraph edited"] = place.sync().embedded
    file.rename(file.with_name("renamed.md"))
    found["one file renamed"] = place.sync().embedded
    os.utime(file.with_name("renamed.md"))
    found["one file touched"] = place.sync().embedded
    return found


def main() -> None:
    """Run it."""
    arguments = parser(__doc__ or "", 30)
    arguments.add_argument("--files", type=int, default=1000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OSS_HOME"] = str(Path(folder) / "home")
        tree = Path(folder) / "tree"
        make_tree(tree, given.files)
        place = Place(Path(folder) / "home", tree, words=40)
        first = place.sync().embedded
        with indexing(place.store, "work") as manifest:
            manifest.add_roots([Root(str(tree))])
        task = Task(place.store, load_plugins(), "work")
        assert task.sync().unchanged == given.files
        figures = []
        for name, clock in (("CPU", time.process_time), ("wall", time.perf_counter)):
            found = interleaved(
                {"sync": timed(task.sync, clock), "look": timed(lambda: look(tree), clock)},
                given.rounds,
            )
            title = f"unchanged sync over walk and stat, {name}"
            figures.append(ratio(title, found, "sync", "look", limit="<= 1.2"))
        report(figures, given.json)
        for what, count in {"first run": first, **changes(place)}.items():
            print(f"{what}: {count} texts embedded", file=sys.stderr)


if __name__ == "__main__":
    main()
