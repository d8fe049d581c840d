"""`oss docs search` as a whole process, against what no such program can leave out.

    python tests/benchmarks/bench_search.py [--rounds 15] [--json]

The base is a Python process that imports ONNX Runtime and opens and closes a shard with the same
points and the same fields indexed: once as qdrant-edge makes one by itself, which reads log and
indexes into memory; once the collection's own, which is made so that it opens fast: against that
one all that is faster in both makes the ratio worse. All are warm: the embedder is made, the files
are in the system's cache. Beside the wall time stands the CPU time, which says more on a busy
machine.
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
from oss.retrieval.fields import INDEXED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_OSS = [sys.executable, "-m", "oss"]
_BARE = "import sys, onnxruntime, qdrant_edge; qdrant_edge.EdgeShard.load(sys.argv[1]).close()"


def plain_shard(shard: Path, copy: Path) -> None:
    """The points of a shard in another, which has the engine's own settings."""
    import qdrant_edge as edge

    copy.mkdir()
    old = edge.EdgeShard.load(str(shard))
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(size=384, distance=edge.Distance.Cosine),
        sparse_vectors={"bm25": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )
    new = edge.EdgeShard.create(str(copy), config)
    everything = edge.ScrollRequest(limit=10_000, with_payload=True, with_vector=True)
    records, _ = old.scroll(everything)
    points = [edge.Point(r.id, r.vector, r.payload) for r in records]
    kinds = {
        "keyword": edge.PayloadSchemaType.Keyword,
        "integer": edge.PayloadSchemaType.Integer,
    }
    for field, kind in INDEXED.items():
        name = f"metadata.{field}"
        new.update(edge.UpdateOperation.create_field_index(name, kinds[kind]))
    new.update(edge.UpdateOperation.upsert_points(points))
    new.flush()
    new.close()
    old.close()


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
        plain_shard(shard, home / "plain")
        commands = {
            "search": search,
            "plain": [sys.executable, "-c", _BARE, str(home / "plain")],
            "own": [sys.executable, "-c", _BARE, str(shard)],
        }
        found = interleaved({n: seconds(c, env) for n, c in commands.items()}, given.rounds)
        used = interleaved({n: cpu_seconds(c, env) for n, c in commands.items()}, given.rounds)
    report(
        [
            ratio("search over bare, wall", found, "search", "plain", limit="<= 1.6"),
            ratio("search over bare, CPU", used, "search", "plain"),
            ratio("search over bare with the collection's own shard, wall", found, "search", "own"),
            ratio("search over bare with the collection's own shard, CPU", used, "search", "own"),
        ],
        given.json,
    )


if __name__ == "__main__":
    main()
