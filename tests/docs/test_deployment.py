"""docs/deployment.md: what others read (systemd, Prometheus) is as they want it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.markdown import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "deployment.md"


def unit() -> str:
    (found,) = (block.body for block in blocks("ini") if block.page == PAGE)
    return found


def test_the_units_command_can_be_given() -> None:
    from oss_plugins.serve.command import serve

    (line,) = re.findall(r"^ExecStart=(.*)$", unit(), re.M)
    program, command, *words = shlex.split(line)
    assert program.endswith("/oss")
    assert command == "serve"
    with serve.make_context("serve", words) as context:
        assert context.params["profiles"] == ("coder",)
        assert context.params["key"].startswith("file:")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    program = tmp_path / ".local" / "bin" / "oss"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    def verify(text: str) -> str:
        (tmp_path / "oss.service").write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--user", "--man=no", tmp_path / "oss.service"],
            env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        if "Failed to initialize manager" in done.stderr:
            pytest.skip(done.stderr)
        return done.stderr

    assert "Unknown key" in verify(unit().replace("PrivateTmp", "PrivateTmpp"))
    assert verify(unit()) == ""


def test_the_metrics_are_there() -> None:
    pytest.importorskip("prometheus_client")
    from oss_plugins.serve.metrics import Metrics

    shown = set(re.findall(r"`(oss_[a-z_]+)", PAGE.read_text(encoding="utf-8")))
    assert len(shown) >= 9
    described = Metrics().text().decode()
    for name in shown:
        assert f"# TYPE {name.removesuffix('_total')}" in described.replace("_total ", " "), name
