"""pytest fixtures for everyone who tests something of ``oss``; on wherever oss is installed.

``oss_home``
    An empty home and working directory for this test; no variable of the user's is seen.
``oss_cli``
    The real program in that home: ``oss_cli.run("profile", "list").ok().stdout``.
``embedders_here``
    The weights of the embedders ``onnx`` and ``multilingual`` in ``oss_home``, made once.
``starter_gguf``
    The path of the starter model, downloaded once. Mark such tests ``@pytest.mark.real``.
``starter_home``
    ``oss_home`` after ``oss model pull starter``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli, OssHome


@pytest.fixture
def oss_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OssHome:
    """An isolated home: ``OSS_HOME``, the working directory, and the caches of other tools."""
    from oss.testing.program import OssHome

    home = OssHome(tmp_path / "oss-home", tmp_path / "work")
    home.path.mkdir()
    home.cwd.mkdir()
    for name in [name for name in os.environ if name.startswith("OSS_")]:
        if name != "OSS_TEST_CACHE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("OSS_HOME", str(home.path))
    monkeypatch.setenv("HF_HOME", str(home.path / "huggingface"))
    monkeypatch.setenv("OLLAMA_MODELS", str(home.path / "ollama"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(home.cwd)
    return home


@pytest.fixture
def oss_cli(oss_home: OssHome) -> OssCli:
    """Runs the installed program in ``oss_home``."""
    from oss.testing.program import OssCli

    return OssCli(oss_home)


@pytest.fixture
def embedders_here(oss_home: OssHome) -> None:
    """The weights of the embedders ``onnx`` and ``multilingual``, in ``oss_home``."""
    from oss.testing.weights import embedder_weights

    for name in ("onnx", "multilingual"):
        folder = embedder_weights(name)
    models = oss_home.path / "data" / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / "embedders").symlink_to(folder)


@pytest.fixture(scope="session")
def starter_gguf() -> Path:
    """The starter model's file."""
    from oss.testing.starter import starter_gguf

    return starter_gguf()


@pytest.fixture
def starter_home(oss_cli: OssCli) -> OssHome:
    """A home that has the starter model, pulled by the program itself."""
    oss_cli.run("model", "pull", "starter").ok()
    return oss_cli.home
