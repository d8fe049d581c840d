"""Everything that `oss run` says beside the answer: on stderr, dimmed on a terminal."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass, field

SHOW_AFTER_S = 0.4
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def colours(stream: object) -> bool:
    """Whether escape sequences may be written to a stream."""
    isatty = getattr(stream, "isatty", None)
    return (
        bool(isatty and isatty())
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


@dataclass
class Aside:
    """Writes notes to stderr.

    :param quiet: writes nothing at all.
    """

    quiet: bool = False
    _waiting: asyncio.Task[None] | None = field(default=None, init=False)
    _label: str = field(default="", init=False)
    _shown: bool = field(default=False, init=False)

    def note(self, line: str) -> None:
        """One line."""
        self.write(line)
        self.write("\n")

    def write(self, text: str) -> None:
        """A piece of text."""
        if self.quiet:
            return
        self.clear()
        dimmed = text.strip() and colours(sys.stderr)
        sys.stderr.write(f"\x1b[2m{text}\x1b[22m" if dimmed else text)
        sys.stderr.flush()

    def wait(self, label: str) -> None:
        """Show that something is going on, if it takes long and a person watches."""
        self.clear()
        self._label = label
        if not self.quiet and colours(sys.stderr):
            self._waiting = asyncio.get_running_loop().create_task(self._animate())

    def wait_for(self, stage: str) -> None:
        """Show another label, if one is shown: how far a load has come."""
        self._label = stage

    def clear(self) -> None:
        """End :meth:`wait`."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._shown:
            self._shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    async def _animate(self) -> None:
        await asyncio.sleep(SHOW_AFTER_S)
        # One row of the terminal at most: more could not be wiped out again.
        room = shutil.get_terminal_size().columns - 12
        begun, step = asyncio.get_running_loop().time() - SHOW_AFTER_S, 0
        while True:
            seconds = asyncio.get_running_loop().time() - begun
            frame = FRAMES[step % len(FRAMES)]
            label = self._label
            label = label if len(label) <= room else "…" + label[len(label) - room + 1 :]
            self._shown = True
            sys.stderr.write(f"\r\x1b[K\x1b[2m{frame} {label} {seconds:.0f} s\x1b[22m")
            sys.stderr.flush()
            step += 1
            await asyncio.sleep(0.1)
