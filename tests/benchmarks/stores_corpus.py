"""The passages of bench_stores.py: documentation found on this machine, cut and embedded, once.

    python tests/benchmarks/stores_corpus.py FOLDER [--root PATH]... [--passages 100000]
        [--embedder onnx] [--seconds 60]

reads manual pages, POD, reStructuredText and plain texts below the roots (by default what Debian
puts under /usr/share, the standard library's documentation strings left out), cuts them with the
program's own chunker, keeps each text once, and writes FOLDER/passages.jsonl. Then it embeds what
has no vector yet, for at most that many seconds: call it again until it says that all are there.
Questions are first sentences of passages that are not indexed.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.build_retrieval_sets import plain_pod, plain_roff, plain_rst
from oss.plugins.manager import load_plugins
from oss.retrieval.chunking import blocks_of, pack
from oss.retrieval.opening import open_embedder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOTS = (Path("/usr/share/man"), Path("/usr/share/doc"), Path("/usr/share/perl"))
WORDS = 60
"""Words in a chunk: a third of the default's, so that so much text as a system carries gives so
many passages.
"""
QUESTIONS = 500
_SLICE = 256
_FOREIGN = re.compile(r"/man/(?!man\d)")


@dataclass(frozen=True)
class Corpus:
    """Passages with their vectors, and questions with theirs.

    :param passages: ``text``, ``source``, ``heading`` of each.
    """

    passages: list[dict[str, str]]
    vectors: Any
    questions: list[str]
    asked: Any


def texts_below(root: Path) -> Iterator[tuple[str, str]]:
    """Files that are documentation, as (path, text with Markdown headings)."""
    for path in sorted(root.rglob("*")):
        name = path.name.removesuffix(".gz")
        if path.is_symlink() or not path.is_file() or _FOREIGN.search(str(path)):
            continue
        manual = re.search(r"/man\d\w*/", str(path))
        if not manual and not name.endswith((".rst.txt", ".rst", ".pod", ".txt", ".md")):
            continue
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
        if manual:
            text = plain_roff(text)
        elif name.endswith(".pod"):
            text = plain_pod(text)
        elif ".rst" in name:
            text = plain_rst(text)
        yield str(path.relative_to(root)), text


def cut(roots: list[Path], count: int) -> list[dict[str, str]]:
    """So many different passages, drawn from all that there are."""
    found: dict[str, dict[str, str]] = {}
    for root in roots:
        for source, text in texts_below(root):
            for chunk in pack(blocks_of(text), words=WORDS):
                if len(chunk.text.split()) >= WORDS // 4:
                    heading = " > ".join(chunk.heading)
                    found.setdefault(
                        chunk.text, {"text": chunk.text, "source": source, "heading": heading}
                    )
    passages = list(found.values())
    random.Random(1).shuffle(passages)
    print(f"{len(passages)} different passages, {min(count, len(passages))} of them kept")
    return passages[:count]


def question_of(passage: dict[str, str]) -> str:
    """Its first sentence."""
    return " ".join(re.split(r"(?<=[.!?])\s", passage["text"])[0].split()[:20])


async def embed(folder: Path, texts: list[str], embedder_name: str, limit: float) -> bool:
    """Add to the vectors that are there; whether all are."""
    import numpy as np

    file = folder / f"vectors-{embedder_name}.f32"
    embedder = open_embedder(
        load_plugins(), embedder_name, {"threads": 1} if embedder_name == "onnx" else None
    )
    await embedder.embed_query("warm")
    row = embedder.dimension * 4
    done = file.stat().st_size // row if file.exists() else 0
    begun = time.monotonic()
    with file.open("r+b" if file.exists() else "wb") as out:
        out.seek(done * row)
        out.truncate()
        while done < len(texts) and time.monotonic() - begun < limit:
            some = texts[done : done + _SLICE]
            out.write(np.asarray(await embedder.embed_documents(some), np.float32).tobytes())
            done += len(some)
    await embedder.close()
    print(f"{done} of {len(texts)} texts have vectors")
    return done == len(texts)


def load(folder: Path, embedder_name: str, count: int) -> Corpus:
    """What was prepared; the first ``count`` passages, and all questions."""
    import numpy as np

    lines = (folder / "passages.jsonl").read_text("utf-8").splitlines()
    passages = [json.loads(line) for line in lines]
    held = passages[:QUESTIONS]
    data = np.fromfile(folder / f"vectors-{embedder_name}.f32", np.float32)
    vectors = data.reshape(len(passages), -1)
    kept = passages[QUESTIONS : QUESTIONS + count]
    return Corpus(
        kept,
        vectors[QUESTIONS : QUESTIONS + len(kept)],
        [question_of(passage) for passage in held],
        vectors[:QUESTIONS],
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--root", type=Path, action="append", help="where documentation is")
    arguments.add_argument("--passages", type=int, default=100_000)
    arguments.add_argument("--embedder", default="onnx")
    arguments.add_argument("--seconds", type=float, default=60.0, help="to embed in one call")
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / "passages.jsonl"
    if not file.exists():
        passages = cut(given.root or list(ROOTS), given.passages + QUESTIONS)
        file.write_text(
            "".join(json.dumps(p, ensure_ascii=False) + "\n" for p in passages), "utf-8"
        )
    passages = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    texts = [
        question_of(p) if n < QUESTIONS else "\n".join(filter(None, (p["heading"], p["text"])))
        for n, p in enumerate(passages)
    ]
    whole = asyncio.run(embed(given.folder, texts, given.embedder, given.seconds))
    return 0 if whole else 3


if __name__ == "__main__":
    sys.exit(main())
