"""Tables and JSON: every row is a passage of its own, with the names of its columns."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec

from oss.contracts.errors import UsageError
from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss_plugins.loaders.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE = 20_000
_LONGEST_FIELD = 10 * 2**20


class CsvLoader(Loader):
    """Rows as ``column: value`` lines; the first row names the columns."""

    def load(self, data: bytes, name: str) -> Loaded:
        """A table; what parts its columns is noticed."""
        text = decode(data)
        blocks = BlockList()
        csv.field_size_limit(_LONGEST_FIELD)
        reader = csv.reader(io.StringIO(text, newline=""), _dialect(text, name))
        try:
            columns = next(reader, [])
            line = reader.line_num + 1
            for number, row in enumerate(reader, 1):
                pairs = (
                    (columns[i] if i < len(columns) else f"column {i + 1}", value)
                    for i, value in enumerate(row)
                )
                body = "\n".join(f"{key}: {value}" for key, value in pairs if value.strip())
                blocks.add(body, alone=True, row=number, line=line)
                line = reader.line_num + 1
        except csv.Error as error:
            raise UsageError(f"is no table that can be read: line {line}: {error}") from error
        return Loaded(blocks)


def _dialect(text: str, name: str) -> type[csv.Dialect] | csv.Dialect:
    if name.lower().endswith(".tsv"):
        return csv.excel_tab
    try:
        return csv.Sniffer().sniff(text[:_SAMPLE], delimiters=",;\t|")
    except csv.Error:
        return csv.excel


class JsonLoader(Loader):
    """A list of objects, or one object a line, gives rows; anything else its values."""

    def load(self, data: bytes, name: str) -> Loaded:
        """JSON, or JSON Lines by its suffix."""
        text = decode(data)
        blocks = BlockList()
        if not name.lower().endswith(".json"):
            for number, line in enumerate(text.split("\n"), 1):
                if line.strip():
                    _add_row(blocks, _value(line, f"line {number}: "), line=number)
            return Loaded(blocks)
        value = _value(text, "")
        if isinstance(value, list):
            for number, item in enumerate(value, 1):
                _add_row(blocks, item, row=number)
        elif isinstance(value, dict):
            for key, item in value.items():
                lines = "\n".join(_lines(item, ""))
                blocks.add(f"{key}: {lines}" if "\n" not in lines else f"{key}:\n{lines}")
        else:
            _add_row(blocks, value)
        return Loaded(blocks)


def _value(text: str, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"is no JSON that can be read: {where}{error}") from error


def _add_row(blocks: BlockList, value: Any, **where: Any) -> None:
    blocks.add("\n".join(_lines(value, "")), alone=True, **where)


def _lines(value: Any, path: str) -> Iterator[str]:
    """``key.key: text`` for every value that says something."""
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [
                (f"{path}.{key}" if path else str(key), item)
                for key, item in reversed(value.items())
            ]
        elif isinstance(value, list):
            if all(isinstance(item, str | int | float | bool) for item in value):
                stack.append((path, ", ".join(map(str, value))))
            else:
                stack += [(path, item) for item in reversed(value)]
        elif value is not None and str(value).strip():
            yield f"{path}: {value}" if path else str(value)
