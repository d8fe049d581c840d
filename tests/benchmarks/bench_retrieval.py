"""Search quality on labelled sets, and speed on many passages.

    python tests/benchmarks/build_retrieval_sets.py FOLDER      # once
    python tests/benchmarks/bench_retrieval.py quality FOLDER [--set faq] [--embedder onnx]
    python tests/benchmarks/bench_retrieval.py speed FOLDER [--passages 100000]

Quality is exact and repeatable; of times only ratios within one run say anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.contracts.filters import Compare
from oss.contracts.store import CollectionSettings, Point, VectorStore
from oss.plugins.manager import load_plugins
from oss.retrieval.chunking import Chunk
from oss.retrieval.evaluation import METHODS, Question, evaluate, report_rows
from oss.retrieval.opening import embedder_of, new_settings, open_embedder
from oss.retrieval.sparse import document_vector
from oss.retrieval.writing import ChunkedDocument, CollectionWriter
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 256
PASSAGES_OF = {"sum": "man", "rsum": "rus"}
"""Sets that ask of the passages of another."""


async def fill(store: VectorStore, name: str, passages: dict[str, str], embedder_name: str) -> None:
    """A collection of a set's passages, made once and kept."""
    if store.exists(name):
        return
    embedder = open_embedder(load_plugins(), embedder_name)
    building = f"{name}.building"
    if store.exists(building):
        store.drop(building)
    started = time.process_time()
    with store.create(building, await new_settings(embedder, {}, "whole")) as collection:
        writer = CollectionWriter(collection, embedder)
        documents = [
            ChunkedDocument(key, [Chunk(text, (0, len(text)))]) for key, text in passages.items()
        ]
        for start in range(0, len(documents), BATCH):
            await writer.write(documents[start : start + BATCH])
        await writer.finish()
    (Path(store.folder) / building).rename(Path(store.folder) / name)  # type: ignore[attr-defined]
    print(f"{name}: {len(passages)} passages in {time.process_time() - started:.0f} CPU seconds")


async def quality(folder: Path, names: list[str], embedder: str) -> None:
    """Every method on every set."""
    plugins = load_plugins()
    store = QdrantStore(folder / "collections")
    for name in names:
        data = json.loads((folder / f"{name}.json").read_text("utf-8"))
        collection = f"{PASSAGES_OF.get(name, name)}-{embedder}"
        await fill(store, collection, data["passages"], embedder)
        questions = [Question(text, frozenset(ids)) for text, ids in data["questions"]]
        found = await evaluate(store, collection, partial(embedder_of, plugins), questions, METHODS)
        print(f"\n{name}, {embedder}: {len(questions)} questions")
        for row in report_rows(found):
            print("  ".join(f"{cell:<16}" for cell in row))


def texts_of(root: Path, count: int) -> list[str]:
    """Pieces of 40 words out of the packages' manuals, shuffled, each once."""
    found: dict[str, None] = {}
    for file in sorted(root.rglob("*.rst.txt")) + sorted(root.rglob("*.pod")):
        words = file.read_text("utf-8", "replace").split()
        for start in range(0, len(words), 20):
            found[" ".join(words[start : start + 40])] = None
    texts = list(found)
    random.Random(1).shuffle(texts)
    return texts[:count]


async def speed(folder: Path, count: int) -> None:
    """Ingest and search of an embedded collection, beside Chroma's where it is installed."""
    import numpy as np

    texts = texts_of(folder / "root", count + 200)
    embedder = open_embedder(load_plugins(), "static")
    vectors = np.array(await embedder.embed_documents(texts), np.float32)
    asked, vectors, texts = vectors[count:], vectors[:count], texts[:count]
    points = [
        Point(
            str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
            text,
            {"source": f"file{number % 25}", "chunk": number, "words": 40, "language": "en"},
            vector.tolist(),
            document_vector(text, "en", 25.0),
        )
        for number, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]
    print(f"{len(points)} passages, {vectors.shape[1]} dimensions")
    nearest = np.argsort(-(asked @ vectors.T), axis=1)[:, :10]
    truth = [{points[i].id for i in row} for row in nearest]
    with tempfile.TemporaryDirectory() as scratch:
        measure_qdrant(
            Path(scratch), points, asked.tolist(), truth, await new_settings(embedder, {}, "")
        )
        try:
            import chromadb
        except ImportError:
            print("chroma is not installed: not compared")
            return
        measure_chroma(chromadb, Path(scratch), points, asked.tolist(), truth)


def measure_qdrant(
    folder: Path,
    points: list[Point],
    asked: list[list[float]],
    truth: list[set[str]],
    settings: CollectionSettings,
) -> None:
    where = Compare("source", "=", "file7")
    with QdrantStore(folder).create("speed", settings) as collection:
        started = time.perf_counter()
        for start in range(0, len(points), 1000):
            collection.upsert(points[start : start + 1000])
        collection.flush()
        collection.optimize()
        print(f"qdrant: ingest {time.perf_counter() - started:.1f} s")

    def searched(vector: list[float], filtered: bool) -> set[str]:
        hits = collection.dense(vector, 10, where if filtered else None)
        return {p.id for p in collection.fetch([h.id for h in hits])}

    started = time.perf_counter()
    with QdrantStore(folder).open("speed") as collection:
        searched(asked[0], False)
        print(f"qdrant: open and first search {time.perf_counter() - started:.2f} s")
        report_searches("qdrant", searched, asked, truth)
    report_disk("qdrant", folder / "speed")


def measure_chroma(
    chromadb: Any,
    folder: Path,
    points: list[Point],
    asked: list[list[float]],
    truth: list[set[str]],
) -> None:
    client = chromadb.PersistentClient(str(folder / "chroma"))
    made = client.create_collection("speed", metadata={"hnsw:space": "cosine"})
    started = time.perf_counter()
    for start in range(0, len(points), 1000):
        part = points[start : start + 1000]
        made.add(
            ids=[p.id for p in part],
            embeddings=[p.dense for p in part],
            documents=[p.text for p in part],
            metadatas=[dict(p.metadata) for p in part],
        )
    print(f"chroma: ingest {time.perf_counter() - started:.1f} s")

    def searched(vector: list[float], filtered: bool) -> set[str]:
        where = {"source": "file7"} if filtered else None
        return set(made.query([vector], n_results=10, where=where)["ids"][0])

    report_searches("chroma", searched, asked, truth)
    report_disk("chroma", folder / "chroma")


def report_searches(
    name: str,
    searched: Callable[[list[float], bool], set[str]],
    asked: list[list[float]],
    truth: list[set[str]],
) -> None:
    for filtered in (False, True):
        times, right = [], 0
        for vector, wanted in zip(asked, truth, strict=True):
            started = time.perf_counter()
            found = searched(vector, filtered)
            times.append(time.perf_counter() - started)
            right += len(found & wanted)
        kind, median = "filtered" if filtered else "search", statistics.median(times) * 1000
        line = f"{name}: {kind} p50 {median:.2f} ms"
        print(line if filtered else f"{line}, recall@10 {right / len(asked) / 10:.3f}")


def report_disk(name: str, folder: Path) -> None:
    blocks = sum(f.stat().st_blocks for f in folder.rglob("*") if f.is_file())
    print(f"{name}: {blocks * 512 / 1e6:.0f} MB of disk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("quality")
    one.add_argument("folder", type=Path)
    one.add_argument("--set", action="append", choices=["faq", "man", "sum", "doc", "rus", "rsum"])
    one.add_argument("--embedder", default="onnx")
    two = commands.add_parser("speed")
    two.add_argument("folder", type=Path)
    two.add_argument("--passages", type=int, default=100_000)
    given = parser.parse_args()
    if given.command == "speed":
        asyncio.run(speed(given.folder, given.passages))
    if given.command == "quality":
        names = given.set or ["faq", "man", "sum", "doc"]
        asyncio.run(quality(given.folder, names, given.embedder))


if __name__ == "__main__":
    main()
