"""First token of a whole `oss run` process, over a bare xllamacpp script with the same request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from common import interleaved, parser, ratio, report

from oss.testing.starter import starter_gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BARE = """
import json, os, sys
import xllamacpp
path, messages = sys.argv[1], json.loads(sys.argv[2])
params = xllamacpp.CommonParams()
params.model.path = path
params.n_ctx = 8192
params.verbosity = -1
params.cpuparams.n_threads = len(os.sched_getaffinity(0))
params.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
server = xllamacpp.Server(params)
def show(chunks):
    for chunk in chunks if isinstance(chunks, list) else [chunks]:
        text = chunk["choices"][0]["delta"].get("content") if chunk.get("choices") else None
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
    return False
server.handle_chat_completions({"messages": messages, "stream": True, "max_tokens": 4}, show)
"""

PROMPT = "Why is the sky blue?"


def first_byte(command: Sequence[str], env: Mapping[str, str]) -> Callable[[], float]:
    """Measures the time from the start of a process to its first byte on stdout, in seconds."""

    def measure() -> float:
        begun = time.perf_counter()
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
        ) as process:
            assert process.stdout is not None
            if not os.read(process.stdout.fileno(), 1):
                raise RuntimeError(f"no answer: {' '.join(command)}")
            took = time.perf_counter() - begun
            process.stdout.read()
        return took

    return measure


def main() -> None:
    options = parser(__doc__ or "", rounds=7).parse_args()
    model = str(starter_gguf())
    oss = str(Path(sysconfig.get_path("scripts")) / "oss")
    with tempfile.TemporaryDirectory() as home:
        env = {k: v for k, v in os.environ.items() if not k.startswith("OSS_")}
        env["OSS_HOME"] = home
        flags = ["run", "-q", "-m", model, "--set", "model.context=8192", "--max-tokens", "4"]
        plan = subprocess.run(
            [oss, *flags, "--dry-run", PROMPT],
            check=True,
            capture_output=True,
            env=env,
            stdin=subprocess.DEVNULL,
        )
        messages = json.dumps(json.loads(plan.stdout)["request"]["messages"])
        found = interleaved(
            {
                "bare": first_byte([sys.executable, "-c", BARE, model, messages], env),
                "oss": first_byte([oss, *flags, PROMPT], env),
                "unlogged": first_byte([oss, *flags, "--no-log", PROMPT], env),
            },
            options.rounds,
        )
    report(
        [
            ratio("run-first-token", found, "oss", "bare", limit="<= 1.3"),
            ratio("run-first-token-no-log", found, "unlogged", "bare", limit="<= 1.3"),
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
