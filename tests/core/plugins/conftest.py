"""A clean environment with the built core, for tests that install things."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def build_wheel(source: Path, target: Path) -> Path:
    """Build the wheel of a folder with what is installed here."""
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(target), str(source)], check=True, capture_output=True)
    return max(target.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime_ns)


@dataclass
class Venv:
    """A virtual environment, and a home for what runs in it."""

    path: Path
    home: Path

    def run(
        self, *words: str | Path, cwd: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("OSS_", "PYTHON"))}
        done = subprocess.run(
            [str(self.path / "bin" / str(words[0])), *map(str, words[1:])],
            env={**keep, "OSS_HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            cwd=cwd or self.home,
        )
        if check:
            assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def built_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def venv(built_core: Path, tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """Has the built core, pytest, and hatchling; nothing of this checkout."""
    folder = tmp_path_factory.mktemp("venv")
    (folder / "home").mkdir()
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    made = Venv(folder / "env", folder / "home")
    made.run(
        "python", "-m", "pip", "install", "-q", built_core, "pytest", "pytest-asyncio", "hatchling"
    )
    return made
