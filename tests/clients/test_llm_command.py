"""The command `llm`, with its file of further models."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("llm")

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.clients, pytest.mark.real]


@pytest.mark.parametrize("flags", [[], ["--no-stream"]])
def test_a_prompt(served: Any, tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: mine\n  model_name: {served.model}\n  api_base: {served.url}\n"
        "  supports_tools: true\n  supports_schema: true\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "llm", "-m", "mine", *flags, "What is the capital of France?"],
        env={**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout


def test_a_schema(served: Any, tmp_path: Path) -> None:
    import json

    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: mine\n  model_name: {served.model}\n  api_base: {served.url}\n"
        "  supports_schema: true\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "llm", "-m", "mine", "--schema", "name, age int", "Ann is 5."],
        env={**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"name", "age"}
