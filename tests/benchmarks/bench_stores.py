"""Stores over the same passages: how fast they fill and find, how right, how much they take.

    python tests/benchmarks/stores_corpus.py FOLDER [--embedder static]        # until all is there
    python tests/benchmarks/bench_stores.py FOLDER build STORE... [--embedder static]
    python tests/benchmarks/bench_stores.py FOLDER search STORE... [--rounds 1] [--json]

STORE is ``qdrant`` (embedded, the default of ``oss docs``), ``chroma`` (the library by itself, as
its own guide uses it), ``oss-chroma``, ``oss-lancedb``, ``oss-faiss`` (HNSW), ``oss-faiss-flat``:
those whose libraries are installed. Each is filled in a process of its own, in batches as the
indexer writes them, and stays in FOLDER/stores. What is timed is the store's work: texts are cut
and embedded before. The search has every question put to every store
in turn, in one process, so that a slow spell falls on all; it returns ten passages with their
texts. What is right is worked out by comparing with every vector. Memory is the most that a
process held which only opens the store and asks all questions.

Both sides of the comparison with Chroma keep texts, metadata, vectors with their graph, a log, and
an index of the texts: ``qdrant`` the weights of their words (BM25), Chroma its trigrams. Making
those weights counts as filling. Metadata has indexes on six fields in ``qdrant``, on all in
Chroma. ``qdrant`` is flushed to the disk every 4,096 passages, and builds its graph at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.common import Ratio, report
from benchmarks.stores_corpus import QUESTIONS, Corpus, load
from oss.contracts.filters import Compare
from oss.contracts.store import Collection, CollectionSettings, Point, VectorStore
from oss.retrieval.completing import complete_store
from oss.retrieval.ids import text_hash
from oss.retrieval.sparse import document_vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORES = ("qdrant", "chroma", "oss-chroma", "oss-lancedb", "oss-faiss", "oss-faiss-flat")
NAME = "passages"
BATCH = 512
FLUSHED = 8
"""Batches between two flushes to the disk: each waits for it, an embedder meanwhile would not."""
K = 10
SHARE = 0.04


@dataclass(frozen=True)
class Found:
    """What one search gave."""

    ids: list[str]
    texts: list[str]


def store_of(kind: str, folder: Path) -> VectorStore:
    """A store of ours, as commands open it."""
    folder = folder / kind
    if kind == "qdrant":
        from oss_plugins.qdrant.store import QdrantStore

        return QdrantStore(folder)
    if kind == "oss-chroma":
        from oss_chroma.store import ChromaStore

        return complete_store(ChromaStore(folder), folder)
    if kind == "oss-lancedb":
        from oss_lancedb.store import LanceStore

        return complete_store(LanceStore(folder), folder)
    from oss_faiss.store import FaissStore

    index = "flat" if kind.endswith("flat") else "hnsw"
    return complete_store(FaissStore(folder, index=index), folder)


def points(corpus: Corpus) -> Iterator[list[Point]]:
    """In batches, with what the indexer writes."""
    for start in range(0, len(corpus.passages), BATCH):
        batch = []
        for number in range(start, min(start + BATCH, len(corpus.passages))):
            passage = corpus.passages[number]
            text = passage["text"]
            metadata = {
                "source": passage["source"],
                "chunk": number,
                "sha256": text_hash(text),
                "language": "en",
                "format": passage["source"].split("/")[0],
                "words": len(text.split()),
                "heading": passage["heading"],
            }
            name = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
            vector = corpus.vectors[number].tolist()
            batch.append(Point(name, text, metadata, vector))
        yield batch


def weighed(batch: list[Point]) -> list[Point]:
    """With the weights of their words."""
    return [replace(point, sparse=document_vector(point.text, "en", 40.0)) for point in batch]


class Library:
    """Chroma by itself."""

    def __init__(self, folder: Path, *, make: bool) -> None:
        import chromadb
        from chromadb.config import Settings

        self.client = chromadb.PersistentClient(
            str(folder / "chroma"), settings=Settings(anonymized_telemetry=False)
        )
        get: Any = self.client.create_collection if make else self.client.get_collection
        options = {"configuration": {"hnsw": {"space": "cosine"}}} if make else {}
        self.found = get(NAME, embedding_function=None, **options)

    def add(self, batch: list[Point]) -> None:
        """As many as the indexer writes at a time."""
        self.found.add(
            ids=[p.id for p in batch],
            embeddings=[list(p.dense or ()) for p in batch],
            documents=[p.text for p in batch],
            metadatas=[dict(p.metadata) for p in batch],
        )

    def search(self, vector: list[float], where: str | None) -> Found:
        """Ten, with their texts."""
        found = self.found.query([vector], n_results=K, where={"format": where} if where else None)
        return Found(found["ids"][0], found["documents"][0])


def searching(kind: str, folder: Path) -> Callable[[list[float], str | None], Found]:
    """Open a store for good."""
    if kind == "chroma":
        return Library(folder, make=False).search
    collection = store_of(kind, folder).open(NAME)

    def search(vector: list[float], where: str | None) -> Found:
        hits = collection.dense(vector, K, Compare("format", "=", where) if where else None)
        found = collection.fetch([hit.id for hit in hits])
        return Found([p.id for p in found], [p.text for p in found])

    return search


def build(kind: str, folder: Path, corpus: Corpus) -> dict[str, float]:
    """Fill one store, in this process."""
    shutil.rmtree(folder / kind, ignore_errors=True)
    spent = cpu = 0.0

    def timed(work: Callable[[], object]) -> None:
        nonlocal spent, cpu
        begun, begun_cpu = time.perf_counter(), time.process_time()
        work()
        spent += time.perf_counter() - begun
        cpu += time.process_time() - begun_cpu

    if kind == "chroma":
        library = Library(folder, make=True)
        for batch in points(corpus):
            timed(lambda some=batch: library.add(some))  # type: ignore[misc]
        timed(library.client.close)
    else:
        settings = CollectionSettings("bench", corpus.vectors.shape[1], languages=("en",))
        collection: Collection = store_of(kind, folder).create(NAME, settings)
        for number, batch in enumerate(points(corpus), 1):
            timed(lambda some=batch: collection.upsert(weighed(some)))  # type: ignore[misc]
            if number % FLUSHED == 0:
                timed(collection.flush)
        timed(collection.optimize)
        timed(collection.close)
    blocks = sum(f.stat().st_blocks for f in (folder / kind).rglob("*") if f.is_file())
    return {"seconds": spent, "cpu": cpu, "disk": blocks * 512 / 1e6}


def memory(kind: str, folder: Path, vectors: Path) -> dict[str, float]:
    """Open, and ask everything, in this process."""
    import numpy as np

    asked = np.fromfile(vectors, np.float32)
    begun = time.perf_counter()
    search = searching(kind, folder)
    rows = asked.reshape(QUESTIONS, -1)
    search(rows[0].tolist(), None)
    first = time.perf_counter() - begun
    for row in rows:
        search(row.tolist(), None)
    status = Path("/proc/self/status").read_text("utf-8")  # of this program alone, as Linux says
    most = int(status.partition("VmHWM:")[2].split()[0])
    return {"first": first, "memory": most * 1024 / 1e6}


def truth(corpus: Corpus, where: str | None) -> list[set[str]]:
    """The ten nearest of every question, exactly."""
    import numpy as np

    chosen = np.asarray(
        [
            number
            for number, passage in enumerate(corpus.passages)
            if where is None or passage["source"].split("/")[0] == where
        ]
    )
    lengths = np.linalg.norm(corpus.vectors, axis=1, keepdims=True)
    vectors = (corpus.vectors / lengths)[chosen]
    nearest = np.argsort(-(corpus.asked @ vectors.T), axis=1)[:, :K]
    return [
        {str(uuid.uuid5(uuid.NAMESPACE_OID, str(chosen[place]))) for place in row}
        for row in nearest
    ]


def search(kinds: list[str], folder: Path, corpus: Corpus, rounds: int) -> dict[str, Any]:
    """Times and recall of all, asked in turn."""
    counts: dict[str, int] = {}
    for passage in corpus.passages:
        name = passage["source"].split("/")[0]
        counts[name] = counts.get(name, 0) + 1
    wanted = SHARE * len(corpus.passages)
    chosen = min(counts, key=lambda name: abs(counts[name] - wanted))
    print(f"filter: format = {chosen}, {counts[chosen] / len(corpus.passages):.1%} of passages")
    ask = {kind: searching(kind, folder) for kind in kinds}
    figures: dict[str, Any] = {kind: {} for kind in kinds}
    for name, where in (("search", None), ("filtered", chosen)):
        right = truth(corpus, where)
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        hits = dict.fromkeys(kinds, 0)
        for turn in range(-1, rounds):
            for vector, nearest in zip(corpus.asked.tolist(), right, strict=True):
                for kind in kinds:
                    begun = time.perf_counter()
                    found = ask[kind](vector, where)
                    spent = time.perf_counter() - begun
                    if turn >= 0:
                        times[kind].append(spent)
                        hits[kind] += len(nearest & set(found.ids))
        for kind in kinds:
            ordered = sorted(times[kind])
            figures[kind][f"{name} p50"] = statistics.median(ordered) * 1000
            figures[kind][f"{name} p95"] = ordered[int(len(ordered) * 0.95)] * 1000
            figures[kind][f"{name} recall"] = hits[kind] / K / len(ordered)
    return figures


def ratios(figures: dict[str, Any]) -> list[Ratio]:
    """Ours over Chroma's."""
    if not {"qdrant", "chroma"} <= figures.keys():
        return []
    one, other = figures["qdrant"], figures["chroma"]
    wanted = {
        "seconds": ("s", "<= 0.333"),
        "search p50": ("ms", "<= 1"),
        "filtered p50": ("ms", "<= 1"),
        "memory": ("MB", "< 1"),
        "disk": ("MB", "< 1"),
    }
    return [
        Ratio(f"qdrant over chroma: {name}", one[name], other[name], unit, 1, limit)
        for name, (unit, limit) in wanted.items()
        if name in one and name in other
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("what", choices=["build", "search", "one", "memory"])
    arguments.add_argument("stores", nargs="+", choices=STORES)
    arguments.add_argument("--embedder", default="static")
    arguments.add_argument("--passages", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    stores = given.folder / "stores" / f"{given.embedder}-{given.passages}"
    stores.mkdir(parents=True, exist_ok=True)
    known = stores / "figures.json"
    questions = stores / "questions.f32"
    if given.what == "memory":
        print(json.dumps(memory(given.stores[0], stores, questions)))
        return
    corpus = load(given.folder, given.embedder, given.passages)
    if given.what == "one":
        print(json.dumps(build(given.stores[0], stores, corpus)))
        return
    corpus.asked.tofile(questions)
    figures = json.loads(known.read_text("utf-8")) if known.exists() else {}

    def own_process(what: str, kind: str) -> dict[str, float]:
        words = [sys.executable, __file__, str(given.folder), what, kind]
        words += ["--embedder", given.embedder, "--passages", str(given.passages)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        found: dict[str, float] = json.loads(done.stdout)
        return found

    def keep(kind: str, found: dict[str, float]) -> None:
        figures.setdefault(kind, {}).update(found)
        print(kind, *(f"{name} {value:.3f}" for name, value in found.items()), sep="\n    ")
        known.write_text(json.dumps(figures, indent=2), "utf-8")

    for kind in given.stores:
        keep(kind, own_process("one" if given.what == "build" else "memory", kind))
    if given.what == "search":
        for kind, found in search(given.stores, stores, corpus, given.rounds).items():
            keep(kind, found)
    report(ratios(figures), given.json)


if __name__ == "__main__":
    main()
