from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oss.contracts.errors import BusyError, ModelError, StorageError
from oss.contracts.model import LocalModel
from oss.files import storage_errors
from oss.models import weights_hash
from oss.models.files import pick_gguf
from oss.models.transfer import check_room, publish, pull_lock
from oss.testing.gguf_file import write_gguf

NAMES = (
    "README.md",
    "mmproj-model-F16.gguf",
    "model-BF16.gguf",
    "model-Q2_K.gguf",
    "model-Q4_K_M.gguf",
    "UD/model-UD-Q4_K_XL.gguf",
    "big/model-Q8_0-00002-of-00002.gguf",
    "big/model-Q8_0-00001-of-00002.gguf",
)


@pytest.mark.parametrize(
    ("wanted", "picked"),
    [
        ("", ("model-Q4_K_M.gguf",)),
        ("q2_k", ("model-Q2_K.gguf",)),
        ("Q4_K", ("model-Q4_K_M.gguf",)),
        ("BF16", ("model-BF16.gguf",)),
        ("F16", ()),
        ("Q4_K_XL", ("UD/model-UD-Q4_K_XL.gguf",)),
        ("model-UD-Q4_K_XL.gguf", ("UD/model-UD-Q4_K_XL.gguf",)),
        ("Q8_0", NAMES[:5:-1]),
        ("big/model-Q8_0-00001-of-00002.gguf", NAMES[:5:-1]),
        ("absent.gguf", ()),
    ],
)
def test_the_file_to_take(wanted: str, picked: tuple[str, ...]) -> None:
    assert pick_gguf(NAMES, wanted) == picked


def test_the_only_file_is_taken_whatever_it_is_called() -> None:
    assert pick_gguf(["модель.gguf"]) == ("модель.gguf",)
    assert pick_gguf(["gpt-oss-20b-mxfp4.gguf"], "MXFP4") == ("gpt-oss-20b-mxfp4.gguf",)
    assert pick_gguf(["README.md"]) == ()


@pytest.mark.usefixtures("oss_home")
def test_the_hash_of_weights_is_remembered_until_they_change(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf")
    model = LocalModel("m", "file:m", "gguf", file)
    first = weights_hash(model)
    assert first == hashlib.sha256(file.read_bytes()).hexdigest()
    assert weights_hash(model) == first
    file.write_bytes(file.read_bytes() + b"x")
    assert weights_hash(model) == hashlib.sha256(file.read_bytes()).hexdigest() != first


@pytest.mark.usefixtures("oss_home")
def test_the_hash_of_several_files_is_of_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"1")
    (tmp_path / "b.safetensors").write_bytes(b"2")
    model = LocalModel("m", "file:m", "hf", tmp_path)
    first = weights_hash(model)
    (tmp_path / "b.safetensors").write_bytes(b"three")
    assert weights_hash(model) != first
    with pytest.raises(ModelError):
        weights_hash(LocalModel("far", "remote:far", "remote"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_trouble_with_the_disk_is_one_line(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk() -> None:
    full = Path("/dev/full")
    with pytest.raises(StorageError, match="the disk is full"), storage_errors(full):
        full.write_bytes(b"x" * 100_000)


def test_other_errors_are_not_disguised(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="strange"), storage_errors(tmp_path):
        raise OSError(errno.EIO, "strange")


def test_room_is_asked_of_the_folder_that_will_be(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "yet", 1, "a model")
    with pytest.raises(StorageError, match=r"a model needs .* are free at"):
        check_room(tmp_path / "not" / "yet", 2**60, "a model")


@pytest.mark.usefixtures("oss_home")
def test_one_at_a_time() -> None:
    with pull_lock("hf-owner/repo", "owner/repo"):
        with pytest.raises(BusyError, match="owner/repo"), pull_lock("hf-owner/repo", "owner/repo"):
            pass
        with pull_lock("hf-owner/other", "owner/other"):
            pass
    with pull_lock("hf-owner/repo", "owner/repo"):
        pass


def test_publishing_replaces_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "final").write_bytes(b"old")
    publish(tmp_path / "new", tmp_path / "final")
    assert [f.name for f in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final").read_bytes() == b"new"


def test_naming_models_imports_nothing_heavy() -> None:
    code = (
        "import sys, oss.models, oss_plugins.sources.hf, oss_plugins.sources.pypi;"
        "heavy = {'huggingface_hub', 'httpx', 'rich', 'urllib.request', 'ssl', 'zipfile',"
        "'subprocess', 'numpy', 'asyncio'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
