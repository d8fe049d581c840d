"""The Python blocks of docs/clients.md, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.real]
PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BLOCKS = [part.partition("```")[0] for part in PAGE.read_text().split("```python\n")[1:]]


@pytest.mark.parametrize("source", BLOCKS, ids=[block.split()[1] for block in BLOCKS])
def test_a_snippet(served: Any, source: str) -> None:
    pytest.importorskip(source.split()[1].partition(".")[0])
    for old, new in (("http://127.0.0.1:8765/v1", served.url), ('"base"', f'"{served.model}"')):
        assert old in source
        source = source.replace(old, new)
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "HAYSTACK_TELEMETRY_ENABLED": "False"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
