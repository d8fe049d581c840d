"""What a person decided on each row, kept on disk as it is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from oss.contracts.errors import UsageError
from oss.data.linelog import LineLog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Choice = Literal["keep", "drop", "edit"]


class Decision(msgspec.Struct, omit_defaults=True):
    """What is to become of one row.

    :param row: its number among those that are reviewed, from 0.
    :param record: what an edited row became.
    """

    row: int
    choice: Choice
    record: dict[str, Any] | None = None


class Journal(LineLog):
    """Decisions beside the output they are for (``OUTPUT.review``), a line each.

    :param selection: which rows of the sources are reviewed, in any words.
    :ivar decisions: by row; later lines win.
    :raises OssError: as :class:`~oss.data.linelog.LineLog`.
    """

    def __init__(self, output: Path, sources: Sequence[Path], selection: str) -> None:
        path = output.with_name(f"{output.name}.review")
        head = msgspec.json.encode({"review": selection, "of": [file_state(s) for s in sources]})
        super().__init__(
            path, head, f"{path} is of other rows: the input or the conditions have changed"
        )
        self.decisions: dict[int, Decision] = {}
        try:
            for line in self.lines:
                decision = msgspec.json.decode(line, type=Decision)
                self.decisions[decision.row] = decision
        except msgspec.DecodeError as error:
            self.close()
            raise UsageError(
                f"{path} is damaged: {error}", hint="remove it to begin anew"
            ) from error

    def decide(self, row: int, choice: Choice, record: Mapping[str, Any] | None = None) -> None:
        """Write one decision down.

        :raises StorageError: the disk is full.
        """
        decision = Decision(row, choice, dict(record) if record is not None else None)
        self.append(msgspec.json.encode(decision))
        self.decisions[row] = decision


def file_state(path: Path) -> tuple[str, int, int]:
    """What changes when a file does: its place, size and time."""
    found = path.stat()
    return (str(path.resolve()), found.st_size, found.st_mtime_ns)
