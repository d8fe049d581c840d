"""The Python blocks of docs/clients, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from support.markdown import Block, blocks

pytestmark = [pytest.mark.clients, pytest.mark.real]
SNIPPETS = [block for block in blocks("python") if block.page.parent.name == "clients"]
PAGES = {"openai", "langchain", "llama-index", "haystack"}
SAYS = {"capital of France": "Paris", "papers": " numbers", "weather(": "weather", "tools=": "city"}
"""What a snippet has to print that has such words in it."""


def test_each_client_has_a_page() -> None:
    assert {block.page.stem for block in SNIPPETS} == PAGES


@pytest.mark.parametrize("block", SNIPPETS, ids=[f"{b.page.stem}:{b.line}" for b in SNIPPETS])
def test_a_snippet(served: Any, block: Block) -> None:
    library = re.findall(r"^from (\w+)", block.body, re.M)
    for name in library:
        pytest.importorskip(name)
    address = "http://127.0.0.1:8765/v1"
    assert address in block.body
    names = {address: served.url, '"base"': f'"{served.model}"', '"papers"': f'"{served.embedder}"'}
    source = block.body
    for old, new in names.items():
        source = source.replace(old, new)
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={
            **os.environ,
            "HAYSTACK_TELEMETRY_ENABLED": "False",
            "LANGSMITH_TRACING": "false",
            "PYTHONIOENCODING": "utf-8",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    wanted = [said for words, said in SAYS.items() if words in block.body]
    assert wanted
    for said in wanted:
        assert said in done.stdout
