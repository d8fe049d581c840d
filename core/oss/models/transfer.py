"""Fetching large files: locked, resumed, checked for room, made visible only when whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from oss.contracts.errors import BusyError, NetworkError, StorageError
from oss.files import RESUME_HINT, storage_errors
from oss.models.text import size_text
from oss.paths import models_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from http.client import HTTPResponse
    from pathlib import Path

    from oss.contracts.model import Progress

_BLOCK = 1 << 18
_TIMEOUT_S = 60
_ATTEMPTS = 3  # in a row without a byte, before giving up


class NotServedError(NetworkError):
    """Not a byte came: the address cannot be used this way from here."""


@contextlib.contextmanager
def pull_lock(key: str, what: str) -> Iterator[None]:
    """Hold the lock of one model while it is fetched or removed.

    :raises BusyError: another process holds it.
    :raises StorageError: the data folder cannot be written.
    """
    from filelock import FileLock, Timeout

    name = "".join(c if c.isalnum() or c in "-._" else "_" for c in key)[:80]
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    file = models_dir() / ".locks" / f"{name}-{digest}.lock"
    lock = FileLock(file, timeout=0)
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise BusyError(
                f"another process is fetching or removing {what}",
                hint="wait until it is done, then run the same command again",
            ) from error
    try:
        yield
    finally:
        lock.release()


def check_room(folder: Path, need: int, what: str) -> None:
    """See that ``need`` more bytes fit where ``folder`` is (or will be).

    :raises StorageError: they do not; the message has both numbers.
    """
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    have = shutil.disk_usage(place).free
    if need > have:
        raise StorageError(
            f"{what} needs {size_text(need)} of disk, {size_text(have)} are free at {place}",
            hint="make room, or set OSS_HOME (for the hub HF_HOME) to a folder on a larger disk",
        )


def publish(temporary: Path, final: Path) -> None:
    """Give a finished file its name: synced to the disk first, then renamed in one step."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    if os.name == "posix":
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def fetch(
    url: str,
    partial: Path,
    progress: Progress,
    label: str,
    *,
    room: float = 1.0,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch ``url`` into ``partial``, going on from what is already there.

    Proxies and certificates are those of the environment. The caller checks the digest: what was
    there before may be another file's.

    :param room: disk to ask for, in sizes of the file (2: it will be unpacked beside itself).
    :param headers: for the first server alone; where it redirects to gets none (no token).
    :raises NotServedError: refused before the first byte.
    :raises NetworkError: cut in the middle; what arrived is kept.
    :raises StorageError: no room.
    """
    import ssl
    from http.client import HTTPException

    best, failures = -1, 0
    while True:
        have = _size(partial)
        try:
            with _open(url, have, headers or {}) as response:
                start, total = _position(response, have)
                check_room(partial.parent, int(max(total * room - start, 0)), label)
                _append(response, partial, start, total, progress, label)
            if total in (0, _size(partial)):
                return
        except NotServedError:
            if best < 0:
                raise
        except (HTTPException, TimeoutError, ConnectionError, ssl.SSLError):
            pass  # cut in the middle: what arrived is on the disk, the next round goes on from it
        now = _size(partial)
        failures = 0 if now > best else failures + 1
        best = max(best, now)
        if failures >= _ATTEMPTS:
            raise NetworkError(
                f"{label}: the connection was cut after {size_text(now)}", hint=RESUME_HINT
            )
        time.sleep(0.3 * failures)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _open(url: str, have: int, headers: Mapping[str, str]) -> HTTPResponse:
    """The answer to a request for the bytes from ``have`` on.

    :raises NotServedError: refused, or nobody there.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    if not url.startswith(("https://", "http://")):
        raise NotServedError(f"{url} is not an address of the web")
    request = Request(url, headers={"User-Agent": "oss-workbench"})  # noqa: S310  checked above
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response: HTTPResponse = urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except HTTPError as error:
        if error.code == 416 and have:  # more is here than there: begin anew
            error.close()
            return _open(url, 0, headers)
        error.close()
        raise NotServedError(f"{url}: HTTP {error.code} {error.reason}") from error
    except (URLError, OSError, HTTPException) as error:
        raise NotServedError(f"{url}: {getattr(error, 'reason', error)}") from error
    return response


def _position(response: HTTPResponse, have: int) -> tuple[int, int]:
    """Where the answer's bytes belong, and how long the whole is (0: not said)."""
    length = int(response.headers.get("Content-Length") or 0)
    if response.status != 206:
        return 0, length
    content_range = response.headers.get("Content-Range", "")
    begin, _, total = content_range.removeprefix("bytes ").partition("/")
    if begin.split("-")[0] != str(have):
        raise NotServedError(f"asked for the bytes from {have}, got '{content_range}'")
    return have, int(total) if total.isdigit() else have + length


def _append(
    response: HTTPResponse, partial: Path, start: int, total: int, progress: Progress, label: str
) -> None:
    with storage_errors(partial), partial.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        progress(start, total, label)
        while block := response.read1(_BLOCK):  # what is there: nothing is lost to a Ctrl-C
            file.write(block)
            start += len(block)
            progress(start, total, label)
        file.flush()
