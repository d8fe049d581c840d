"""`oss docs search` as a whole process, against what no such program can leave out.

    python tests/benchmarks/bench_search.py [--rounds 15] [--json]

The base is a Python process that imports ONNX Runtime and opens and closes the same collection's
shard. Both are warm: the embedder is made, the files are in the system's cache. Beside the wall
time stands the CPU time, which says more on a busy machine.
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

from benchmarks.common import interleaved, parser, ratio, report, seconds
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
    given = parser(__doc__ or "", 15).parse_args()
    models = data_dir() / "models"
    docs = Path(__file__).parents[2] / "docs"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "data").mkdir()
        if models.is_dir():  # an embedder that was made once serves
            (home / "data" / "models").symlink_to(models)
        env = {**os.environ, "OSS_HOME": folder}
        add = [*_OSS, "docs", "add", str(docs), "--to", "bench"]
        subprocess.run(add, check=True, capture_output=True, env=env)
        search = [*_OSS, "docs", "search", "--in", "bench", "how long do sessions last"]
        shard = home / "data" / "collections" / "bench" / "shard"
        bare = [sys.executable, "-c", _BARE, str(shard)]
        found = interleaved(
            {"search": seconds(search, env), "bare": seconds(bare, env)}, given.rounds
        )
        used = interleaved(
            {"search": cpu_seconds(search, env), "bare": cpu_seconds(bare, env)}, given.rounds
        )
    report(
        [
            ratio("search over bare, wall", found, "search", "bare", limit="<= 1.6"),
            ratio("search over bare, CPU", used, "search", "bare"),
        ],
        given.json,
    )


if __name__ == "__main__":
    main()
