from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from oss.testing.gguf_file import write_gguf
from support.servers import Site, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss.testing.program import OssCli


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site()) as site:
        yield site


@pytest.fixture
def gguf(tmp_path: Path) -> bytes:
    """Two megabytes that are a GGUF file: a small model, and something behind it."""
    return write_gguf(tmp_path / "made.gguf").read_bytes() + random.Random(3).randbytes(2_000_000)


@pytest.fixture
def cli(oss_cli: OssCli, site: Site) -> OssCli:
    """The program, with pip's index and the hub on loopback and nothing of this machine's."""
    oss_cli.env |= {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": f"{site.url}/simple",
        "PIP_EXTRA_INDEX_URL": None,
        "PIP_FIND_LINKS": None,
        "PIP_NO_INDEX": None,
        "PIP_CERT": None,
        "PIP_RETRIES": "0",
        "PIP_CACHE_DIR": str(oss_cli.home.path / "pip-cache"),
        "HF_ENDPOINT": site.url,
        "HF_HUB_OFFLINE": None,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    return oss_cli
