"""Texts embedded per CPU second: the 8-bit default, its graph in float32, sentence-transformers.

    python tests/benchmarks/bench_embedding.py [--texts 64] [--rounds 5] [--json]

All three have the same weights (all-MiniLM-L6-v2) and one thread, and embed the same texts of about
137 tokens in turn, each at the batch size that suits it: the graphs text by text,
sentence-transformers by 32, sorted by length as it does. It is left out where it is not installed
(``pip install 'oss-workbench[sentence-transformers]'``).
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from tokenizers import Tokenizer

from benchmarks.common import Ratio, interleaved, parser, report
from oss_plugins.embedders.graph import BertShape, build
from oss_plugins.embedders.onnx_model import OnnxModel
from oss_plugins.embedders.recipes import GRAPH, MINILM, TOKENIZER
from oss_plugins.embedders.weights import ensure
from support.embedders import minilm_folder

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS = 137


def texts_of_about(tokens: int, count: int, tokenizer: Tokenizer) -> list[str]:
    """Runs of words from this project's own pages, each of so many tokens."""
    words: list[str] = []
    for page in sorted((Path(__file__).parents[2] / "docs").glob("*.md")):
        words += page.read_text("utf-8").split()
    texts = []
    begin = 0
    while len(texts) < count:
        size = 20
        while len(tokenizer.encode(" ".join(words[begin : begin + size])).ids) < tokens:
            size += 4
        texts.append(" ".join(words[begin : begin + size]))
        begin = (begin + size) % (len(words) - 200)
    return texts


def per_second(embed: Callable[[list[str]], Any], texts: list[str]) -> Callable[[], float]:
    """Texts per second of CPU time."""

    def measure() -> float:
        begun = time.process_time()
        embed(texts)
        return len(texts) / (time.process_time() - begun)

    return measure


def main() -> None:
    """Run it."""
    arguments = parser(__doc__ or "", 5)
    arguments.add_argument("--texts", type=int, default=64)
    given = arguments.parse_args()
    made = ensure(MINILM)
    eight = OnnxModel(made / GRAPH, made / TOKENIZER, max_tokens=256, threads=1)
    tokenizer = Tokenizer.from_file(str(made / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = texts_of_about(TOKENS, given.texts, tokenizer)
    with tempfile.TemporaryDirectory() as scratch:
        folder = minilm_folder(Path(scratch))
        from safetensors.numpy import load_file

        reference = Path(scratch) / "reference.onnx"
        weights = load_file(folder / "model.safetensors")
        build(weights, BertShape(layers=6, heads=12), reference, bits=None)
        float32 = OnnxModel(reference, made / TOKENIZER, max_tokens=256, threads=1)
        embedders: dict[str, Callable[[list[str]], Any]] = {
            "8 bits": eight.embed,
            "float32": float32.embed,
        }
        if find_spec("sentence_transformers"):
            embedders["sentence-transformers"] = sentence_transformers(folder)
        wanted = float32.embed(texts)
        for name, embed in embedders.items():
            alike = (np.asarray(embed(texts)) * wanted).sum(axis=1)
            print(
                f"{name}: cosine to float32 {alike.mean():.4f}, at worst {alike.min():.4f}",
                file=sys.stderr,
            )
        found = interleaved(
            {name: per_second(embed, texts) for name, embed in embedders.items()}, given.rounds
        )
    middle = {name: float(np.median(values)) for name, values in found.items()}
    limits = {"float32": ">= 1.7", "sentence-transformers": ">= 2.5"}
    ours = middle.pop("8 bits")
    report(
        [
            Ratio(f"8 bits over {name}", ours, value, "texts/s", given.rounds, limits[name])
            for name, value in middle.items()
        ],
        given.json,
    )


def sentence_transformers(folder: Path) -> Callable[[list[str]], Any]:
    """The library's own way, on one thread."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"use_safetensors": True})
    model.max_seq_length = 256
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


if __name__ == "__main__":
    main()
