"""The vLLM server that oss starts, watches and stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from oss.contracts.errors import BackendError
from oss.engines.loading import say_loading
from oss.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAST_LINES = 12
_MODULE = "vllm.entrypoints.openai.api_server"
_STAGES = (
    (re.compile(r"Starting to load model"), "loading the weights"),
    (re.compile(r"Loading weights took"), "weights loaded"),
    (re.compile(r"torch\.compile takes|Compiling a graph"), "compiling"),
    (re.compile(r"Capturing CUDA graphs"), "capturing CUDA graphs"),
    (re.compile(r"GPU KV cache size|KV cache size"), "making room for the context"),
)
"""What vLLM's log says of its start, in fewer words."""


def interpreter(option: Path | None) -> str:
    """The Python that has vLLM: the option's, else ``OSS_VLLM_PYTHON``'s, else this one."""
    return str(option or os.environ.get("OSS_VLLM_PYTHON") or sys.executable)


class ManagedServer:
    """A server on a free port of 127.0.0.1, with a random key that stands on no command line.

    :ivar key: the server's key.
    :ivar url: where it is, once started.
    """

    def __init__(self, python: str, flags: Sequence[str], start_timeout: float) -> None:
        self.key = secrets.token_urlsafe(32)
        self.url = ""
        self._python = python
        self._flags = list(flags)
        self._start_timeout = start_timeout
        self._process: asyncio.subprocess.Process | None = None
        self._log: Path | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    async def ended(self, within: float) -> bool:
        """Whether the process ends within so many seconds."""
        if self._process is None:
            return True
        try:
            await asyncio.wait_for(self._process.wait(), within)
        except asyncio.TimeoutError:
            return False
        return True

    @property
    def pid(self) -> int | None:
        """The process group of the server."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start, and wait until it answers.

        :raises BackendError: it ended, or did not answer in time; the hint has its last words.
        """
        folder = cache_dir() / "vllm"
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"server-{os.getpid()}-{secrets.token_hex(4)}.log"
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [self._python, "-m", _MODULE, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--middleware", "oss_vllm_guard.Guard"]
        keeper = [sys.executable, "-I", str(Path(__file__).with_name("keeper.py"))]
        with self._log.open("wb") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *keeper,
                    *command,
                    *self._flags,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=_environment(self.key, runtime_lora="--enable-lora" in self._flags),
                    start_new_session=True,
                )
            except OSError as error:
                raise BackendError(f"vLLM cannot be started: {error}") from error
        try:
            await self._wait()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server and all of its children; removes its log."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()  # the keeper ends the rest
            try:
                await asyncio.wait_for(process.wait(), 30)
            except asyncio.TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if self._log is not None:
            self._log.unlink(missing_ok=True)

    @property
    def on_cpu(self) -> bool:
        """Whether the server computes without a GPU, by its own words."""
        return "device_config=cpu" in self._told()

    def _told(self) -> str:
        if self._log is not None:
            with contextlib.suppress(OSError):
                return self._log.read_text(encoding="utf-8", errors="replace")
        return ""

    def last_words(self) -> str:
        """The end of the log, without its prefixes."""
        lines = [re.sub(r"^\([^)]*\)\s*", "", line).strip() for line in self._told().splitlines()]
        return "\n".join([line for line in lines if line][-LAST_LINES:])

    async def _wait(self) -> None:
        begun = time.monotonic()
        said = "starting"
        say_loading(f"vLLM: {said}")
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                if not self.running:
                    raise BackendError(
                        "vLLM ended while it was starting",
                        hint=f"its last words:\n{self._reason()}",
                    )
                with contextlib.suppress(httpx2.HTTPError):
                    if (await client.get(f"{self.url}/health")).status_code == 200:
                        return
                waited = time.monotonic() - begun
                if waited > self._start_timeout:
                    raise BackendError(
                        f"vLLM did not answer within {self._start_timeout:g} s",
                        hint="raise backend.vllm.start_timeout; its last words:\n"
                        + self.last_words(),
                    )
                stage = self._stage()
                if stage != said:
                    said = stage
                    say_loading(f"vLLM: {stage}")
                await asyncio.sleep(0.5)

    def _stage(self) -> str:
        text = self._told()
        found = [(m.start(), name) for pattern, name in _STAGES for m in pattern.finditer(text)]
        return max(found)[1] if found else "starting"

    def _reason(self) -> str:
        words = self.last_words()
        if "No module named" in words and "vllm" in words:
            return (
                f"{self._python} has no vLLM: pip install vllm there, or name the interpreter "
                "that has it (backend.vllm.python, OSS_VLLM_PYTHON)"
            )
        return words


def _environment(key: str, *, runtime_lora: bool) -> Mapping[str, str]:
    """This process's, without what belongs to its own Python, and nothing told to others."""
    dropped = ("PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {
        **{name: value for name, value in os.environ.items() if name not in dropped},
        "PYTHONPATH": str(Path(__file__).with_name("guard")),
        "PYTHONUNBUFFERED": "1",
        "VLLM_API_KEY": key,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": str(int(runtime_lora)),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
