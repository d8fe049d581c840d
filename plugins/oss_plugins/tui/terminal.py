"""A terminal that may go away: a window is closed, a connection breaks, tmux ends.

Textual's driver writes in a thread, which ends when there is nothing to write to any more; whoever
writes then waits for it for ever. Here the application lives on for the moment that it needs to
keep what came, and ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from typing import IO


class Output:
    """A terminal's output, which loses what is written once the terminal is gone."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._gone = False

    def write(self, text: str) -> None:
        """Write, if anyone can see it."""
        if not self._gone:
            try:
                self._file.write(text)
            except OSError:
                self._gone = True

    def flush(self) -> None:
        """See to it that it is seen."""
        if not self._gone:
            try:
                self._file.flush()
            except OSError:
                self._gone = True

    def fileno(self) -> int:
        """Of the terminal."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._file.isatty()


class Terminal(LinuxDriver):
    """The driver; where the terminal is gone, it asks the application to leave."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._file: Any = Output(self._file)

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._app.call_later(self._app.action_quit)
