"""Requests made up from the served OpenAPI document: none may end in a 5xx."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("schemathesis")

pytestmark = [pytest.mark.clients, pytest.mark.real]


def test_no_server_errors(served: Any) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run",
            served.url.removesuffix("/v1") + "/openapi.json",
            "--checks", "not_a_server_error", "--max-examples", "25", "--mode", "all",
            "--phases", "examples,coverage,fuzzing", "--request-timeout", "60", "--seed", "1",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
        cwd=served.home.cwd,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "oss_requests_running 0.0" in served.metrics()
