"""The coding assistant `aider`. It pins what it needs, so it has an environment of its own:
``OSS_TEST_AIDER`` names its program where it is not on the path.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.markdown import blocks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.clients, pytest.mark.real]


@pytest.fixture
def aider() -> str:
    found = os.environ.get("OSS_TEST_AIDER") or shutil.which("aider")
    if not found:
        pytest.skip("aider is not installed")
    return found


@pytest.mark.parametrize("flags", [[], ["--no-stream"]])
def test_a_question_about_a_file(served: Any, aider: str, tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "привет.py").write_text('print("hello")\n', encoding="utf-8")
    quiet = ["--no-git", "--yes-always", "--no-pretty", "--no-check-update", "--analytics-disable"]
    quiet += ["--no-show-model-warnings", "--no-show-release-notes", "--map-tokens", "0"]
    question = "What is the capital of France? Answer in one sentence."
    (page,) = (block.body for block in blocks("sh") if block.page.name == "aider.md")
    for old, new in (
        ("http://127.0.0.1:8765/v1", served.url),
        ("openai/base", f"openai/{served.model}"),
        ("\naider ", f"\n{shlex.quote(aider)} "),
    ):
        assert old in page
        page = page.replace(old, new)
    more = [*quiet, *flags, "--chat-mode", "ask", "--message", question, "привет.py"]
    done = subprocess.run(
        ["bash", "-c", f"{page.rstrip()} {shlex.join(more)}"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert "Tokens: " in done.stdout, "usage came with the answer"
