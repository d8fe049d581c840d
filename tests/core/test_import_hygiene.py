"""Starting the program, and importing the package, loads nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from oss.testing.program import OssCli, OssHome

HEAVY = {
    "aiohttp",
    "asyncio",
    "httpx",
    "huggingface_hub",
    "importlib.metadata",
    "jinja2",
    "llama_cpp",
    "msgspec",
    "numpy",
    "onnxruntime",
    "peft",
    "prompt_toolkit",
    "pydantic",
    "qdrant_client",
    "rich",
    "sqlite3",
    "textual",
    "tomlkit",
    "torch",
    "transformers",
    "uvicorn",
    "vllm",
    "xllamacpp",
    "yaml",
}
PROBE = """
import json, os, sys
sys.argv = ["oss", *json.loads(os.environ["PROBE_ARGS"])]
try:
    {code}
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
MAIN = "from oss.cli.main import main; main()"


def loaded(code: str, *args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.replace("{code}", code)],
        env={**os.environ, "PROBE_ARGS": json.dumps(args)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_the_probe_sees_imports(oss_home: OssHome) -> None:
    assert "msgspec" in loaded("import msgspec")


def test_import_oss(oss_home: OssHome) -> None:
    assert not loaded("import oss") & (HEAVY | {"click", "pluggy", "typing"})


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help_and_version(oss_home: OssHome, args: list[str]) -> None:
    loaded(MAIN, "--help")  # the first run fills the cache of plugins
    modules = loaded(MAIN, *args)
    assert "oss.cli.main" in modules
    assert not modules & HEAVY
    assert "pluggy" not in modules
    assert not {name for name in modules if name.startswith("oss_plugins")}
    assert not {name for name in modules if name.startswith("oss.cli.")} - {"oss.cli.main"}


def test_the_first_help_of_all_loads_registration_modules_alone(oss_home: OssHome) -> None:
    modules = loaded(MAIN, "--help")
    assert "oss_plugins.llamacpp" in modules
    assert not modules & HEAVY - {"importlib.metadata"}
    assert "oss_plugins.llamacpp.backend" not in modules


def test_listing_plugins_imports_none(oss_cli: OssCli) -> None:
    oss_cli.add_plugin("noisy", "raise SystemExit('imported')\n")
    assert "noisy" in oss_cli.run("plugins", "list").ok().stdout


def test_contracts_are_light(oss_home: OssHome) -> None:
    code = "; ".join(
        f"import oss.contracts.{name}"
        for name in ("adapter", "backend", "chat", "errors", "messages", "model", "tool", "persona")
    )
    assert not loaded(code + "; import oss.hookspecs, oss.plugins.manager") & HEAVY
