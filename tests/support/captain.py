"""A home in which the captain's adapter was trained as docs/training.md says, once for all."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import tomlkit

from oss.testing.starter import starter_gguf
from support.markdown import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {
    "persona.system": "",
    "sampling.temperature": 0,
    "sampling.max_tokens": 48,
    "train.steps": 40,
    "train.batch": 4,
    "train.accumulation": 1,
    "train.held_out_share": 0.05,
}
"""Beside what the page's commands say: forty steps of four rows, no more tokens than needed."""
SOURCES = ("plugins/oss_plugins/peft_training", "core/oss/adapters", "core/oss/data")


def captain_home() -> Path:
    """The home; trained anew when what trains has changed, else as it was kept beside the starter
    model.
    """
    from filelock import FileLock

    cache = starter_gguf().parent
    home = cache / f"captain-{_digest()}"
    with FileLock(cache / "captain.lock"):
        if not (home / "done").exists():
            for old in cache.glob("captain-*"):
                shutil.rmtree(old)
            _train(home)
            (home / "done").touch()
    return home


def page_commands() -> list[str]:
    """The commands that docs/training.md promises: its blocks marked `sh captain`."""
    found = [
        block.body
        for block in blocks("sh")
        if block.page.name == "training.md" and "captain" in block.flags
    ]
    return [line for body in found for line in body.splitlines() if line.strip()]


def _train(home: Path) -> None:
    work = home / "работа"
    work.mkdir(parents=True)
    program = sysconfig.get_path("scripts")
    env = {name: value for name, value in os.environ.items() if not name.startswith("OSS_")} | {
        "OSS_HOME": str(home),
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "2",
        "GOMP_SPINCOUNT": "0",
        "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
    }
    log = (home / "log").open("wb")
    with log:
        for command in page_commands():
            done = subprocess.run(
                ["bash", "-euc", command], cwd=work, env=env, stdout=log, stderr=log, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{command}\n{(home / 'log').read_text('utf-8')[-3000:]}")
            profile = home / "config" / "profiles" / "mine.toml"
            if "profile new" in command:
                _settle(profile)


def _settle(profile: Path) -> None:
    document = tomlkit.parse(profile.read_text("utf-8"))
    for key, value in SETTINGS.items():
        table, _, name = key.partition(".")
        document.setdefault(table, tomlkit.table())[name] = value
    profile.write_text(tomlkit.dumps(document), "utf-8")


def _digest() -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]}{SETTINGS}{page_commands()}".encode())
    for folder in SOURCES:
        for file in sorted((ROOT / folder).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
