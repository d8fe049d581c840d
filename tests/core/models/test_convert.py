"""Forms of one model: made, found again, and dropped when their source changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ModelError, StorageError
from oss.contracts.model import LocalModel
from oss.models.convert import convert_model
from oss.models.forms import form_path, made_forms, read_record, save_record, with_forms
from oss.plugins.manager import Plugins
from oss.testing.gguf_file import F32, write_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli, OssHome

NO_PLUGINS = Plugins([])


@pytest.fixture
def model(oss_home: OssHome, tmp_path: Path) -> LocalModel:
    path = tmp_path / "модель.gguf"
    write_gguf(path, {"general.architecture": "llama"}, {"x.weight": ((4, 4), F32)})
    return LocalModel("моя модель", f"file:{path}", "gguf", path)


def made(model: LocalModel) -> Path:
    path = form_path(model, "hf")
    path.mkdir(parents=True)
    save_record(model, path, "0" * 64)
    return path


def test_a_form_is_found_by_its_reference(model: LocalModel) -> None:
    assert made_forms(model) == {}
    path = made(model)
    assert with_forms(model).form("hf") == path
    assert with_forms(model).form("gguf") == model.path
    record = read_record(path)
    assert record is not None
    assert record.source_sha256 == "0" * 64
    other = LocalModel("other", "file:/elsewhere", "gguf", model.path)
    assert made_forms(other) == {}


def test_a_form_without_its_record_is_none(model: LocalModel) -> None:
    path = made(model)
    path.with_suffix(".json").write_text("{broken")
    assert made_forms(model) == {}


def test_a_changed_source_drops_the_form(model: LocalModel) -> None:
    made(model)
    assert model.path is not None
    os.utime(model.path, (1, 1))
    assert made_forms(model) == {}


def test_a_form_that_is_here_is_not_made_again(model: LocalModel) -> None:
    path = made(model)
    said: list[str] = []
    assert convert_model(model, "hf", NO_PLUGINS, say=said.append).form("hf") == path
    assert not said


def test_gguf_is_not_made_here_and_that_is_said(oss_home: OssHome, tmp_path: Path) -> None:
    folder = LocalModel("папка", "file:x", "hf", tmp_path)
    with pytest.raises(ModelError, match="no well-kept converter") as caught:
        convert_model(folder, "gguf", NO_PLUGINS, say=print)
    assert "convert_hf_to_gguf.py" in str(caught.value.hint)


def test_a_remote_model_has_no_other_form(oss_home: OssHome) -> None:
    with pytest.raises(ModelError):
        convert_model(LocalModel("r", "remote:r", "remote"), "hf", NO_PLUGINS, say=print)


def test_too_little_room(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
    with pytest.raises(StorageError, match="GB"):
        convert_model(model, "hf", NO_PLUGINS, say=print)


@pytest.mark.torch
def test_an_architecture_that_transformers_does_not_know(oss_home: OssHome, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    path = tmp_path / "x.gguf"
    write_gguf(path, {"general.architecture": "нечто"}, {"x.weight": ((4, 4), F32)})
    with pytest.raises(ModelError, match=r"transformers .* cannot read"):
        convert_model(LocalModel("x", "file:x", "gguf", path), "hf", NO_PLUGINS, say=print)
    assert not list((oss_home.path / "data").rglob("*.partial"))


@pytest.mark.torch
@pytest.mark.real
@pytest.mark.slow
def test_the_starter_becomes_a_folder_and_stays_one_model(
    oss_cli: OssCli, starter_home: OssHome
) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("xllamacpp")
    first = oss_cli.run("model", "convert", "starter", "--to", "hf").ok()
    assert "the same model" in first.stderr
    again = oss_cli.run("model", "convert", "starter", "--to", "hf").ok()
    assert again.stdout == first.stdout
    assert not again.stderr.strip()
    question = ("run", "--set", "sampling.temperature=0", "--set", "sampling.max_tokens=12")
    for backend in ("llamacpp", "transformers"):
        answer = oss_cli.run(
            *question, "--set", f"backend.name={backend}", "--set", "model.name=starter",
            "What is the capital of France?",
        ).ok()  # fmt: skip
        assert answer.stdout.strip()
