"""The command `llm`, with its file of further models."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.markdown import blocks

pytest.importorskip("llm")

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.clients, pytest.mark.real]


def llm(folder: Path, *words: str) -> str:
    """What the command says, with its settings in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "llm", *words],
        env={**os.environ, "LLM_USER_PATH": str(folder), "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page(served: Any, tmp_path: Path) -> None:
    """The file and the commands of docs/clients/llm.md."""
    (table,) = (b.body for b in blocks("yaml") if b.page.name == "llm.md")
    (commands,) = (b.body for b in blocks("sh") if b.page.name == "llm.md")
    assert "model_name: base" in table
    assert "http://127.0.0.1:8765/v1" in table
    (tmp_path / "extra-openai-models.yaml").write_text(
        table.replace("http://127.0.0.1:8765/v1", served.url).replace(": base", f": {served.model}")
    )
    for line in commands.splitlines():
        program, *words = shlex.split(line)
        assert program == "llm"
        assert "Paris" in llm(tmp_path, *words), line


def test_a_schema(served: Any, tmp_path: Path) -> None:
    import json

    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: mine\n  model_name: {served.model}\n  api_base: {served.url}\n"
        "  supports_schema: true\n"
    )
    answer = llm(tmp_path, "-m", "mine", "--schema", "name, age int", "Ann is 5.")
    assert set(json.loads(answer)) == {"name", "age"}
