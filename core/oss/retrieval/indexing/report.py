"""What a run of the indexer did, and how far one is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass
class Report:
    """Files and chunks, counted.

    :ivar faults: files that could not be read, to the reason; a folder can be among them.
    :ivar ignored: files that no loader reads, counted by suffix.
    :ivar kept: chunks of changed files that were there already.
    """

    collection: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    kept: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "collection": self.collection,
            "files": {
                "added": self.added,
                "changed": self.changed,
                "unchanged": self.unchanged,
                "removed": self.removed,
            },
            "chunks": {"embedded": self.embedded, "kept": self.kept},
            "skipped": [{"path": path, "reason": why} for path, why in self.faults.items()],
            "ignored": self.ignored,
        }


@dataclass
class Steps:
    """How far a run is.

    :ivar files: to be read in all, of which ``done`` are written for good.
    :ivar size: their bytes in all, of which ``written`` are.
    :ivar chunks: embedded so far.
    """

    files: int = 0
    done: int = 0
    size: int = 0
    written: int = 0
    chunks: int = 0


class Watcher(Protocol):
    """Is told of every step; called from the thread of the event loop."""

    def __call__(self, steps: Steps, /) -> None:
        """The same object each time, with new numbers."""


def unwatched(steps: Steps, /) -> None:
    """Where no one looks."""
