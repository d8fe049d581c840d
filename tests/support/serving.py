"""`oss serve` as a program, for as long as a test needs it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from oss.testing.program import OssCli

ENDS_WITHIN_S = 60


@dataclass(frozen=True)
class Serving:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.removesuffix("/v1").rpartition(":")[2])


@contextmanager
def serving(cli: OssCli, *flags: str) -> Iterator[Serving]:
    """A server on a free port. One that the test has not ended is ended as an operator does; either
    way it must go with exit code 0 and without a traceback. Killed where the test fails.
    """
    process = cli.start("serve", "--port", "0", *flags)
    try:
        yield Serving(process, _address(process))
        if process.poll() is None:
            process.terminate()
        rest = process.communicate(timeout=ENDS_WITHIN_S)[1].decode()
        assert process.returncode == 0, rest
        assert "Traceback" not in rest, rest
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    seen = []
    for raw in process.stderr:
        seen.append(raw.decode())
        if found := re.search(r"at (http://\S+/v1)", seen[-1]):
            return found.group(1)
    raise AssertionError("".join(seen))
