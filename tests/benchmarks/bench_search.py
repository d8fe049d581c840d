"""`oss docs search` as a whole process, against what no such program can leave out.

    python tests/benchmarks/bench_search.py [--in COLLECTION] [--rounds 15] [--json]

The base is a Python process that imports ONNX Runtime and opens and closes the same collection's
shard. Both are warm: the embedder is made, the files are in the system's cache. Beside the wall
time stands the CPU time, which says more on a busy machine. Searched is a collection of this
project's pages, made for the occasion, or one that is there already.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.common import Ratio, interleaved, parser, ratio, report, seconds
from oss.paths import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_OSS = [sys.executable, "-m", "oss"]
_BARE = "import sys, onnxruntime, qdrant_edge; qdrant_edge.EdgeShard.load(sys.argv[1]).close()"


def cpu_seconds(command: Sequence[str], env: Mapping[str, str]) -> Callable[[], float]:
    """Measures the CPU time of a whole process, its own and the system's for it."""

    def measure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=env)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return measure


def main() -> None:
    """Run it."""
    arguments = parser(__doc__ or "", 15)
    arguments.add_argument("--in", dest="collection")
    given = arguments.parse_args()
    if given.collection:
        figures = compare(given.collection, data_dir() / "collections", os.environ, given.rounds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            figures = compare("bench", *of_pages(Path(folder)), given.rounds)
    report(figures, given.json)


def of_pages(home: Path) -> tuple[Path, Mapping[str, str]]:
    """Make the collection ``bench``: where it lies, and the environment to search it in."""
    models = data_dir() / "models"
    (home / "data").mkdir()
    if models.is_dir():  # an embedder that was made once serves
        (home / "data" / "models").symlink_to(models)
    env = {**os.environ, "OSS_HOME": str(home)}
    add = [*_OSS, "docs", "add", str(Path(__file__).parents[2] / "docs"), "--to", "bench"]
    subprocess.run(add, check=True, capture_output=True, env=env)
    return home / "data" / "collections", env


def compare(collection: str, folder: Path, env: Mapping[str, str], rounds: int) -> list[Ratio]:
    """The command over its bare parts, in turn."""
    search = [*_OSS, "docs", "search", "--in", collection, "how long do sessions last"]
    bare = [sys.executable, "-c", _BARE, str(folder / collection / "shard")]
    found = interleaved({"search": seconds(search, env), "bare": seconds(bare, env)}, rounds)
    used = interleaved({"search": cpu_seconds(search, env), "bare": cpu_seconds(bare, env)}, rounds)
    return [
        ratio("search over bare, wall", found, "search", "bare", limit="<= 1.6"),
        ratio("search over bare, CPU", used, "search", "bare"),
    ]


if __name__ == "__main__":
    main()
