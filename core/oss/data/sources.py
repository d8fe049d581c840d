"""Reads the records of files: JSONL, JSON, CSV, Parquet, plain text, Hugging Face datasets.

A record is what a file holds, before anyone asks which format its keys have. Everything but
Parquet's batches and one JSON file's index is streamed: a file may be larger than memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from oss.contracts.errors import UsageError
from oss.data.encoding import utf8_problem
from oss.data.rows import Fault, Origin

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import msgspec

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

LONGEST_LINE = 64 * 2**20
"""Bytes of the longest line or cell that is read: more is a file without line ends."""

_PART = re.compile(r"(.+)-\d{5}-of-\d{5}\.parquet")


@dataclass(frozen=True)
class Record:
    """One record, or what is wrong with it.

    :param raw: its JSON as it stands in the file, where it is one.
    """

    origin: Origin
    value: Any
    raw: bytes | None = None


def read_records(path: Path, encoding: str = "utf-8") -> Iterator[Record]:
    """The records of one file or dataset folder, in order.

    :param encoding: of JSONL, JSON, CSV and text.
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
    readers: dict[str, Callable[[], Iterator[Record]]] = {
        "jsonl": lambda: _jsonl(path, encoding),
        "json": lambda: _json(path, encoding),
        "csv": lambda: _csv(path, encoding),
        "parquet": lambda: _parquet(path),
        "text": lambda: _text(path, encoding),
        "dataset": lambda: _dataset(path),
    }
    try:
        yield from readers[kind]()
    except LookupError as error:
        if "encoding" not in str(error):
            raise
        raise UsageError(f"there is no encoding '{encoding}'") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def _fault(origin: Origin, code: str, message: str) -> Record:
    return Record(origin, Fault(origin, code, message))


def _decode(raw: bytes, origin: Origin) -> Record:
    import msgspec

    try:
        return Record(origin, msgspec.json.decode(raw), raw)
    except UnicodeDecodeError:
        return _fault(origin, "encoding", f"is {utf8_problem(raw)}")
    except (msgspec.DecodeError, RecursionError) as error:
        if problem := utf8_problem(raw):
            return _fault(origin, "encoding", f"is {problem}")
        return _fault(origin, "syntax", f"not JSON: {error}")


def _jsonl(path: Path, encoding: str) -> Iterator[Record]:
    with path.open("rb") as binary:
        start = binary.read(2)
        if start in {b"\xff\xfe", b"\xfe\xff"} and encoding == "utf-8":
            yield _fault(
                Origin(str(path), 1),
                "encoding",
                "is UTF-16, not UTF-8: oss data convert --encoding utf-16",
            )
            return
        binary.seek(0)
        lines = _lines(binary) if encoding == "utf-8" else _recoded(path, encoding)
        for number, raw in lines:
            if isinstance(raw, Record):
                yield raw
                continue
            line = raw.removeprefix(b"\xef\xbb\xbf").strip()
            origin = Origin(str(path), number)
            if len(line) > LONGEST_LINE:
                yield _fault(
                    origin, "line-length", f"is a line of more than {LONGEST_LINE >> 20} MiB"
                )
            elif line:
                yield _decode(line, origin)


def _lines(file: io.BufferedReader) -> Iterator[tuple[int, bytes | Record]]:
    """Lines with their numbers; of one that is too long, only as much as shows it."""
    number = 0
    while raw := file.readline(LONGEST_LINE + 2):
        number += 1
        if len(raw) > LONGEST_LINE and not raw.endswith(b"\n"):
            while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
        yield number, raw


def _recoded(path: Path, encoding: str) -> Iterator[tuple[int, bytes | Record]]:
    number = 0
    try:
        with path.open(encoding=encoding, newline="\n") as file:
            for number, line in enumerate(file, 1):
                yield number, line.removeprefix("\ufeff").encode()
    except UnicodeError as error:
        origin = Origin(str(path), number + 1)
        yield number + 1, _fault(origin, "encoding", f"is not {encoding}: {error}")


def _json(path: Path, encoding: str) -> Iterator[Record]:
    """One list of rows, ``{"data": [rows]}``, or one row. The list is not decoded as a whole: each
    row is found by its place in the file, and has the line that it begins on.
    """
    import mmap

    import msgspec

    data: mmap.mmap | bytes
    with path.open("rb") as file:
        if not file.read(1):
            yield _fault(Origin(str(path), 1), "syntax", "not JSON: the file is empty")
            return
        # Not closed by hand: the rows are views of it.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if encoding != "utf-8":
        try:
            data = str(data, encoding).encode()
        except UnicodeError as error:
            yield _fault(Origin(str(path), 1), "encoding", f"is not {encoding}: {error}")
            return
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        yield _fault(Origin(str(path), 1), "encoding", "is UTF-16, not UTF-8")
        return
    at, line = (3 if data[:3] == b"\xef\xbb\xbf" else 0), 1
    try:
        rows = _json_rows(memoryview(data)[at:])
    except msgspec.ValidationError:
        yield _fault(Origin(str(path), 1), "shape", "is neither a list of rows nor an object")
        return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        position = str(error).rpartition("byte ")[2].rstrip(")")
        end = at + int(position) if position.isdigit() else 0
        origin = Origin(str(path), data[:end].count(b"\n") + 1)
        yield _fault(origin, "syntax", f"not JSON: {error}")
        return
    for row in rows:
        raw = bytes(row)
        place = data.find(raw, at)
        line += data[at:place].count(b"\n")
        yield _decode(raw, Origin(str(path), line))
        line += raw.count(b"\n")
        at = place + len(raw)


def _json_rows(data: memoryview) -> list[Any]:
    """Views of the rows.

    :raises msgspec.DecodeError: it is not JSON, or (ValidationError) neither list nor object.
    """
    import msgspec

    found = msgspec.json.decode(cast("bytes", data), type=msgspec.Raw)  # any buffer will do
    if not _begins(found, b"{"):
        return msgspec.json.decode(found, type=list[msgspec.Raw])
    items = msgspec.json.decode(found, type=dict[str, msgspec.Raw])
    key, value = next(iter(items.items()), ("", found))
    if len(items) == 1 and key not in {"messages", "conversations"} and _begins(value, b"["):
        return msgspec.json.decode(value, type=list[msgspec.Raw])
    return [found]


def _begins(raw: msgspec.Raw, mark: bytes) -> bool:
    return memoryview(raw)[:1].tobytes() == mark


def _csv(path: Path, encoding: str) -> Iterator[Record]:
    import csv

    line = 1
    before = csv.field_size_limit(LONGEST_LINE)
    try:
        with path.open(
            encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline=""
        ) as file:
            head = file.readline(LONGEST_LINE)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=_delimiter(head))
            line = reader.line_num + 2
            for record in reader:
                origin = Origin(str(path), line)
                line = reader.line_num + 1
                if None in record or None in record.values():
                    yield _fault(origin, "columns", "has more or fewer cells than the head")
                else:
                    yield Record(origin, {k: _cell(k, v) for k, v in record.items()})
    except UnicodeError as error:
        raw = error.object if isinstance(error, UnicodeDecodeError) else b""
        problem = utf8_problem(raw) if encoding == "utf-8" else f"not {encoding}: {error}"
        yield _fault(Origin(str(path), line), "encoding", f"is {problem or 'not UTF-8'}")
    except csv.Error as error:
        yield _fault(Origin(str(path), line), "syntax", f"not CSV: {error}")
    finally:
        csv.field_size_limit(before)


def _delimiter(head: str) -> str:
    """Comma; where the head has none, what it has: spreadsheets write the local one."""
    return next((mark for mark in ",;\t" if mark in head), ",")


def _cell(key: str, value: str) -> Any:
    """A cell of a column that holds lists in every other format is JSON text."""
    if value[:1] == "[" and key in {"messages", "conversations", "tools", "chosen", "rejected"}:
        import msgspec

        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value  # the row's format reports it
    if key == "label" and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return value


def _parquet(path: Path) -> Iterator[Record]:
    pa = _pyarrow(path)
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as table:
            yield from _batches(path, table.iter_batches(1024))
    except pa.ArrowException as error:
        problem = f"not Parquet: {str(error).splitlines()[0]}"
        yield _fault(Origin(str(path), 1, "row"), "syntax", problem)


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"{path}: Parquet and Arrow files need 'pyarrow'",
            hint="pip install 'oss-workbench[data]'",
        ) from error
    return pa


def _batches(path: Path, batches: Any, number: int = 0) -> Iterator[Record]:
    for batch in batches:
        for record in batch.to_pylist():
            number += 1
            # Columns that a row does not have are null in Arrow; here they are absent.
            present = {key: value for key, value in record.items() if value is not None}
            yield Record(Origin(str(path), number, "row"), present)


def _dataset(path: Path) -> Iterator[Record]:
    """A folder of ``Dataset.save_to_disk``, or of Parquet files of one part."""
    if (path / "state.json").exists():
        yield from _saved(path)
        return
    parts = sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))
    names = {match[1] for part in parts if (match := _PART.fullmatch(part.name))}
    if len(names) > 1:
        raise UsageError(
            f"{path} holds several parts: {', '.join(sorted(names))}",
            hint=f"give the files of one: {parts[0]}",
        )
    if parts:
        for part in parts:
            yield from _parquet(part)
        return
    hint = "give a file, or a folder saved with `Dataset.save_to_disk`"
    if (path / "dataset_dict.json").exists():
        hint = f"give one of its parts: {path}/train"
    raise UsageError(f"{path}: not a dataset folder", hint=hint)


def _saved(path: Path) -> Iterator[Record]:
    import msgspec

    pa = _pyarrow(path)
    origin = Origin(str(path), 1, "row")
    try:
        state = msgspec.json.decode((path / "state.json").read_bytes())
        files = [str(entry["filename"]) for entry in state["_data_files"]]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        yield _fault(origin, "syntax", f"its state.json cannot be read: {error}")
        return
    number = 0
    try:
        for name in files:
            # A name from the file must not lead out of the folder.
            with pa.memory_map(str(path / name.replace("\\", "/").rpartition("/")[2])) as source:
                for batch in pa.ipc.open_stream(source):
                    yield from _batches(path, [batch], number)
                    number += batch.num_rows
    except pa.ArrowException as error:
        problem = f"not an Arrow file: {str(error).splitlines()[0]}"
        yield _fault(origin, "syntax", problem)


def _text(path: Path, encoding: str) -> Iterator[Record]:
    origin = Origin(str(path), 1)
    raw = path.read_bytes()
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        yield Record(origin, {"text": raw.decode(name).replace("\r\n", "\n")})
    except UnicodeError as error:
        problem = utf8_problem(raw) if encoding == "utf-8" else f"not {encoding}: {error}"
        yield _fault(origin, "encoding", f"is {problem}")
