"""Every ``console`` block of the documentation is run, page by page, on the starter model.

Blocks of language ``sh`` are only parsed (test_pages.py): they need a bigger model, the network,
or an installation.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from support.markdown import Block, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssHome

PAGES = sorted({block.page for block in blocks("console")})


def script(page_blocks: list[Block]) -> str:
    lines = ["set -euo pipefail"]
    for block in page_blocks:
        lines += [f"# {block}"]
        lines += [raw[2:] for raw in block.body.splitlines() if raw.startswith("$ ")]
    return "\n".join(lines)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_commands_of_a_page_run(page: Path, oss_home: OssHome, starter_home: Path) -> None:
    program = sysconfig.get_path("scripts")
    env = {
        **os.environ,
        "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        "OSS_SAMPLING_MAX_TOKENS": "200",  # so small a model may go on until its context is full
    }
    done = subprocess.run(
        ["bash", "-x", "-c", script([b for b in blocks("console") if b.page == page])],
        cwd=oss_home.cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
