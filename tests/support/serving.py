"""`oss serve` as a program, for as long as a test needs it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from oss.testing.program import OssCli


@contextmanager
def serving(cli: OssCli, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process and its port; killed where the test has not ended it."""
    process = cli.start("serve", "--port", "0", *flags)
    assert process.stderr is not None
    seen = []
    try:
        for raw in process.stderr:
            seen.append(raw.decode())
            if found := re.search(r":(\d+)/v1", seen[-1]):
                break
        else:
            raise AssertionError("".join(seen))
        yield process, int(found.group(1))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
