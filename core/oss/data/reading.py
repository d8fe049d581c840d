"""Turns files into rows, and keeps each row's record for those who write it again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.data.formats import RowError, parse
from oss.data.rows import Fault
from oss.data.sources import read_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from oss.data.rows import Origin, Row


@dataclass(frozen=True)
class Dataset:
    """The rows of one or several files, and the faults of those that are none.

    :param digest: sha256 over the content of the rows, in order; the same for the same examples
        in another format or file.
    """

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]
    files: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Item:
    """A row, or what is wrong with it, beside what the file says.

    :param record: the row as its file has it; ``None`` where that cannot be read.
    :param raw: the record's JSON as it stands in the file, where it is one.
    """

    origin: Origin
    row: Row | Fault
    record: Mapping[str, Any] | None = None
    raw: bytes | None = None


def read(paths: Sequence[Path]) -> Dataset:
    """Read every file; broken rows become faults.

    :raises UsageError: a file is absent, unreadable, or of a type that is not known.
    """
    rows: list[Row] = []
    faults: list[Fault] = []
    for path in paths:
        for item in read_file(path):
            if isinstance(item, Fault):
                faults.append(item)
            else:
                rows.append(item)
    return Dataset(tuple(rows), tuple(faults), tuple(str(p) for p in paths), fingerprint(rows))


def read_usable(paths: Sequence[Path]) -> Dataset:
    """Read every file, and refuse when a row is broken or none is there.

    :raises UsageError: also for the first broken row, with the count of the others.
    """
    dataset = read(paths)
    fatal = [fault for fault in dataset.faults if fault.fatal]
    if fatal:
        more = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
        raise UsageError(
            f"{fatal[0]}{more}", hint="`oss data check FILE` lists every fault with its line"
        )
    if not dataset.rows:
        raise UsageError(f"{', '.join(dataset.files)}: no usable row")
    return dataset


def read_file(path: Path) -> Iterator[Row | Fault]:
    """The rows of one file, in order; a row that cannot be read is a :class:`Fault`.

    :raises UsageError: the file is absent, unreadable, or of a type that is not known.
    """
    return (item.row for item in read_items(path))


def read_items(path: Path, encoding: str = "utf-8") -> Iterator[Item]:
    """The rows of one file with their records, in order.

    :param encoding: of JSONL, CSV and text.
    :raises UsageError: the file is absent, unreadable, or of a type that is not known.
    """
    for found in read_records(path, encoding):
        origin, value = found.origin, found.value
        if isinstance(value, Fault):
            yield Item(origin, value)
            continue
        record = value if isinstance(value, dict) else None
        try:
            yield Item(origin, parse(value, origin), record, found.raw)
        except RowError as error:
            yield Item(origin, Fault(origin, error.code, str(error)), record, found.raw)


def content(row: Row) -> bytes:
    """The content of a row as canonical JSON: what makes two rows the same."""
    import msgspec

    plain = msgspec.to_builtins(row)
    del plain["origin"]
    return msgspec.json.encode(plain, order="sorted")


def fingerprint(rows: Sequence[Row]) -> str:
    """sha256 over the content of the rows in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(content(row))
        digest.update(b"\n")
    return digest.hexdigest()
