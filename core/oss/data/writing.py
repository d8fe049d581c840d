"""Writes sets of rows into new files, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from oss.contracts.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

OUTPUTS = (".jsonl", ".json", ".csv", ".parquet")


class RowWriter(Protocol):
    """Takes records one by one."""

    def write(self, record: Mapping[str, Any], raw: bytes | None = None) -> None:
        """Write one record.

        :param raw: its JSON as it stood where it came from; written as it is where it can be.
        """

    def finish(self) -> None:
        """Write what comes after the last record."""


@contextmanager
def new_file(path: Path, inputs: Sequence[Path], *, force: bool = False) -> Iterator[RowWriter]:
    """A file that appears when the block ends well; its suffix says the form.

    :param inputs: what the rows are read from; never overwritten, even with ``force``.
    :raises UsageError: it is there already, is one of the inputs, or has an unknown suffix.
    :raises StorageError: the disk is full or read-only.
    """
    check_output(path, inputs, force=force)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=".tmp"
        )
        with os.fdopen(descriptor, "wb") as file:
            writer = make_writer(file, path.suffix.lower())
            yield writer
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        if force:
            Path(temporary).replace(path)
        else:
            _rename_new(temporary, path)
        temporary = None
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}",
            hint="check permissions and free space; nothing was changed",
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def check_output(path: Path, inputs: Sequence[Path], *, force: bool = False) -> None:
    """Refuse what must not be written, before any work is done.

    :raises UsageError: see :func:`new_file`.
    """
    if path.suffix.lower() not in OUTPUTS:
        raise UsageError(
            f"{path}: files of type '{path.suffix}' are not written",
            hint=f"known: {', '.join(OUTPUTS)}",
        )
    if path.suffix.lower() == ".parquet":
        from importlib.util import find_spec

        if find_spec("pyarrow") is None:
            raise UsageError(
                f"{path}: Parquet files need 'pyarrow'", hint="pip install 'oss-workbench[data]'"
            )
    if not path.exists():
        return
    if any(source.exists() and path.samefile(source) for source in inputs):
        raise UsageError(f"{path} is what is read", hint="write to another file: -o NEW.jsonl")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file: -o NEW.jsonl")
    if not force:
        raise UsageError(f"{path} exists", hint="choose another name, or add --force")


def make_writer(file: BinaryIO, suffix: str) -> RowWriter:
    """The writer of a form into an open file."""
    forms: Mapping[str, Callable[[BinaryIO], RowWriter]] = {
        ".jsonl": JsonLines,
        ".json": JsonList,
        ".csv": Csv,
        ".parquet": Parquet,
    }
    return forms[suffix](file)


def _rename_new(temporary: str, path: Path) -> None:
    """Rename where nothing is; someone may have made the file meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise UsageError(f"{path} exists", hint="choose another name, or add --force") from None
    except OSError:  # a file system without links
        Path(temporary).replace(path)
    else:
        Path(temporary).unlink()


def _json(record: Mapping[str, Any]) -> bytes:
    import msgspec

    return msgspec.json.encode(record)


class JsonLines:
    """One object a line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, record: Mapping[str, Any], raw: bytes | None = None) -> None:
        """Write one line."""
        if raw is None or b"\n" in raw:
            raw = _json(record)
        self._file.write(raw + b"\n")

    def finish(self) -> None:
        """Nothing comes after the last line."""


class JsonList:
    """A list with one object a line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._between = b"[\n"

    def write(self, record: Mapping[str, Any], raw: bytes | None = None) -> None:
        """Write one item."""
        self._file.write(self._between + (raw or _json(record)))
        self._between = b",\n"

    def finish(self) -> None:
        """Close the list."""
        self._file.write(b"\n]\n" if self._between == b",\n" else b"[]\n")


class Csv:
    """A table; lists become JSON text in their cell. The first record says the columns."""

    def __init__(self, file: BinaryIO) -> None:
        import csv
        import io

        self._text = io.StringIO(newline="")
        self._file = file
        self._writer = csv.writer(self._text)
        self._columns: list[str] | None = None
        self._rows = 0

    def write(self, record: Mapping[str, Any], raw: bytes | None = None) -> None:  # noqa: ARG002
        """Write one line of the table.

        :raises UsageError: it has a column that the first record has not.
        """
        self._rows += 1
        if self._columns is None:
            self._columns = list(record)
            self._writer.writerow(self._columns)
        if more := [key for key in record if key not in self._columns]:
            raise UsageError(
                f"row {self._rows} has the column '{more[0]}', which the first row has not",
                hint="write .jsonl instead",
            )
        self._writer.writerow([_cell(record.get(key)) for key in self._columns])
        self._file.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()

    def finish(self) -> None:
        """Nothing comes after the last line."""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value).decode()


class Parquet:
    """Columns; all rows are held in memory until the end, since the last may add a column."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows: list[Mapping[str, Any]] = []

    def write(self, record: Mapping[str, Any], raw: bytes | None = None) -> None:  # noqa: ARG002
        """Take one row."""
        self._rows.append(record)

    def finish(self) -> None:
        """Write the file.

        :raises UsageError: a column holds values of several types.
        """
        import pyarrow as pa
        from pyarrow import parquet

        names = list(dict.fromkeys(key for row in self._rows for key in row))
        columns = {}
        for name in names:
            try:
                columns[name] = pa.array([row.get(name) for row in self._rows])
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise UsageError(
                    f"column '{name}' holds values of several types: {error}",
                    hint="oss data convert --to messages, or write .jsonl",
                ) from error
        parquet.write_table(pa.table(columns), self._file)
