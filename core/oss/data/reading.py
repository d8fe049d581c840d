"""Reads training files: JSONL, JSON, CSV, Parquet, plain text, a Hugging Face dataset on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.data.formats import RowError, parse
from oss.data.rows import Fault, Origin, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oss.data.rows import Row

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
    ".md": "text",
}


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
    if not path.exists():
        raise UsageError(f"no such file: {path}")
    kind = "dataset" if path.is_dir() else SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"{path}: files of type '{path.suffix}' are not read",
            hint=f"known: {', '.join(SUFFIXES)}, and folders saved by the `datasets` library",
        )
    records = {
        "jsonl": _jsonl,
        "json": _json,
        "csv": _csv,
        "parquet": _parquet,
        "text": _text,
        "dataset": _dataset,
    }[kind]
    try:
        for origin, record in records(path):
            if isinstance(record, Fault):
                yield record
                continue
            try:
                yield record if isinstance(record, Text) else parse(record, origin)
            except RowError as error:
                yield Fault(origin, error.code, str(error))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def _decode(raw: bytes, origin: Origin) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Fault(origin, "syntax", f"not JSON: {error}")


def _jsonl(path: Path) -> Iterator[tuple[Origin, Any]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            line = raw.removeprefix(b"\xef\xbb\xbf").strip()
            if line:
                origin = Origin(str(path), number)
                yield origin, _decode(line, origin)


def _json(path: Path) -> Iterator[tuple[Origin, Any]]:
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    whole = _decode(raw, Origin(str(path), 1))
    if isinstance(whole, Fault):
        position = whole.message.rpartition("byte ")[2].rstrip(")")
        line = raw.count(b"\n", 0, int(position)) + 1 if position.isdigit() else 1
        origin = Origin(str(path), line)
        yield origin, Fault(origin, "syntax", whole.message)
        return
    if isinstance(whole, dict):  # {"data": [...]}, {"train": [...]}, or one row
        lists = [value for value in whole.values() if isinstance(value, list)]
        wrapped = len(whole) == 1 and lists and "messages" not in whole
        whole = lists[0] if wrapped and "conversations" not in whole else [whole]
    if not isinstance(whole, list):
        origin = Origin(str(path), 1)
        yield origin, Fault(origin, "shape", f"is {type(whole).__name__}, not a list of rows")
        return
    for number, record in enumerate(whole, 1):
        yield Origin(str(path), number, "row"), record


def _csv(path: Path) -> Iterator[tuple[Origin, Any]]:
    import csv

    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            line = reader.line_num + 2
            for record in reader:
                origin = Origin(str(path), line)
                line = reader.line_num + 1
                if None in record or None in record.values():
                    yield origin, Fault(origin, "columns", "has more or fewer cells than the head")
                else:
                    yield origin, {key: _cell(key, value) for key, value in record.items()}
    except (UnicodeDecodeError, csv.Error) as error:
        origin = Origin(str(path), line)
        yield origin, Fault(origin, "syntax", f"not CSV in UTF-8: {error}")


def _cell(key: str, value: str) -> Any:
    """A cell of a column that holds lists in every other format is JSON text."""
    if key in {"messages", "conversations", "tools"} and value.startswith("["):
        import msgspec

        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value  # the row's format reports it
    if key == "label" and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return value


def _parquet(path: Path) -> Iterator[tuple[Origin, Any]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            f"{path}: reading Parquet needs 'pyarrow'", hint="pip install 'oss-workbench[train]'"
        ) from error
    try:
        table = parquet.ParquetFile(path)
        number = 0
        for batch in table.iter_batches(1024):
            for record in batch.to_pylist():
                number += 1
                yield Origin(str(path), number, "row"), _without_nulls(record)
    except pa.ArrowException as error:
        origin = Origin(str(path), 1, "row")
        yield origin, Fault(origin, "syntax", f"not Parquet: {str(error).splitlines()[0]}")


def _without_nulls(record: dict[str, Any]) -> dict[str, Any]:
    """Columns that a row does not have are null in Arrow; here they are absent."""
    return {key: value for key, value in record.items() if value is not None}


def _dataset(path: Path) -> Iterator[tuple[Origin, Any]]:
    if not (path / "dataset_info.json").exists():
        hint = "give a file, or a folder saved with `Dataset.save_to_disk`"
        if (path / "dataset_dict.json").exists():
            hint = f"give one of its parts: {path}/train"
        raise UsageError(f"{path}: not a dataset folder", hint=hint)
    try:
        import datasets
    except ImportError as error:
        raise UsageError(
            f"{path}: reading it needs 'datasets'", hint="pip install 'oss-workbench[train]'"
        ) from error
    for number, record in enumerate(datasets.load_from_disk(str(path)), 1):
        yield Origin(str(path), number, "row"), _without_nulls(record)


def _text(path: Path) -> Iterator[tuple[Origin, Any]]:
    origin = Origin(str(path), 1)
    try:
        yield origin, Text(path.read_text(encoding="utf-8-sig"), origin)
    except UnicodeDecodeError as error:
        yield origin, Fault(origin, "syntax", f"not UTF-8: {error.reason} at byte {error.start}")


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
