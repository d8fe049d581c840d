"""Search quality on labelled sets, and speed on many passages.

    python tests/benchmarks/build_retrieval_sets.py FOLDER      # once
    python tests/benchmarks/bench_retrieval.py quality FOLDER [--set faq] [--embedder onnx]
    python tests/benchmarks/bench_retrieval.py speed FOLDER [--passages 100000]
    python tests/benchmarks/bench_retrieval.py embedding

Quality is exact and repeatable; of times only ratios within one run say anything.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import statistics
import time
from functools import partial
from pathlib import Path

from oss.contracts.filters import Compare
from oss.contracts.store import VectorStore
from oss.plugins.manager import load_plugins
from oss.retrieval.chunking import Chunk
from oss.retrieval.evaluation import METHODS, Question, evaluate, report_rows
from oss.retrieval.opening import embedder_of, new_settings, open_embedder
from oss.retrieval.writing import ChunkedDocument, CollectionWriter
from oss_plugins.qdrant.store import QdrantStore

BATCH = 256


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
        collection = f"{name}-{embedder}"
        await fill(store, collection, data["passages"], embedder)
        questions = [Question(text, frozenset(ids)) for text, ids in data["questions"]]
        found = await evaluate(store, collection, partial(embedder_of, plugins), questions, METHODS)
        print(f"\n{name}, {embedder}: {len(questions)} questions")
        for row in report_rows(found):
            print("  ".join(f"{cell:<16}" for cell in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("quality")
    one.add_argument("folder", type=Path)
    one.add_argument("--set", action="append", choices=["faq", "man", "doc", "rus"])
    one.add_argument("--embedder", default="onnx")
    given = parser.parse_args()
    if given.command == "quality":
        names = given.set or ["faq", "man", "doc"]
        asyncio.run(quality(given.folder, names, given.embedder))


if __name__ == "__main__":
    main()
