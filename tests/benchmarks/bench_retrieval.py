"""Search quality on labelled sets; of stores and their speed, see bench_stores.py.

    python tests/benchmarks/build_retrieval_sets.py FOLDER      # once
    python tests/benchmarks/bench_retrieval.py quality FOLDER [--set faq] [--embedder onnx]

Quality is exact and repeatable; of times only ratios within one run say anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oss.plugins.manager import load_plugins
from oss.retrieval.chunking import Chunk
from oss.retrieval.evaluation import METHODS, Question, evaluate, report_rows
from oss.retrieval.opening import embedder_of, new_settings, open_embedder
from oss.retrieval.writing import ChunkedDocument, CollectionWriter
from oss_plugins.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from oss.contracts.store import VectorStore

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("quality")
    one.add_argument("folder", type=Path)
    one.add_argument("--set", action="append", choices=["faq", "man", "sum", "doc", "rus", "rsum"])
    one.add_argument("--embedder", default="onnx")
    given = parser.parse_args()
    names = given.set or ["faq", "man", "sum", "doc"]
    asyncio.run(quality(given.folder, names, given.embedder))


if __name__ == "__main__":
    main()
