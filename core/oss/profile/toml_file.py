"""Reads TOML files and remembers on which line each key stands."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Key = tuple[str, ...]

MAX_BYTES = 1_000_000
"""A profile or persona larger than this is a mistake (a model, a device, a log)."""

_HEADER = re.compile(r"^\s*(\[\[?)(?P<name>[^\[\]]+|.*?)\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<name>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=(?P<rest>.*)$"""
)
_BARE = re.compile(r"^[A-Za-z0-9_-]+$")
_AT_LINE = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


@dataclass(frozen=True)
class TomlFile:
    """A parsed file. ``lines`` maps a key (its parts) to its line, counted from 1."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Key, int] = field(default_factory=dict)

    def line(self, key: Sequence[str]) -> int | None:
        """The line of a key, or of the nearest table around it."""
        parts = tuple(key)
        while parts:
            if parts in self.lines:
                return self.lines[parts]
            parts = parts[:-1]
        return None


def show_path(path: Path) -> str:
    """The path as a person would type it: from the working directory where it is below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def dotted(key: Sequence[str]) -> str:
    """The parts of a key as TOML writes them."""
    return ".".join(part if _BARE.match(part) else f'"{part}"' for part in key)


def read_text(path: Path) -> str:
    """The text of a small UTF-8 file (a byte-order mark is skipped).

    :raises ConfigError: absent, unreadable, too large, or not UTF-8; names file and line.
    """
    shown = show_path(path)
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{shown} is not a file", hint="give the path of a text file")
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(
                f"{shown} is larger than {MAX_BYTES // 1000} kB",
                hint="profiles and personas are short texts; is this the right file?",
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{shown} does not exist", hint="check the path") from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {shown}: {error.strerror or error}", hint="check the file's permissions"
        ) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{shown}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x})",
            hint="save the file as UTF-8",
        ) from error


def parse_toml(text: str, path: Path, first_line: int = 1) -> TomlFile:
    """Parse; ``first_line`` is where ``text`` begins in ``path``.

    :raises ConfigError: broken TOML; names file and line.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = _AT_LINE.search(message)
        line = int(at["line"]) if at and at["line"] else max(1, len(text.splitlines()))
        what = message[: at.start()] if at else message
        raise ConfigError(
            f"{show_path(path)}:{line + first_line - 1}: broken TOML: {what}",
            hint='texts stand in quotes: name = "value"; see https://toml.io',
        ) from error
    except RecursionError:
        raise ConfigError(
            f"{show_path(path)}: nested too deeply", hint="profiles are two or three tables deep"
        ) from None
    lines = {key: line + first_line - 1 for key, line in key_lines(text).items()}
    return TomlFile(path, data, lines)


def read_toml(path: Path) -> TomlFile:
    """Read and parse a file.

    :raises ConfigError: as :func:`read_text` and :func:`parse_toml`.
    """
    return parse_toml(read_text(path), path)


def parse_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none (``--set``, environment)."""
    try:
        data = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return data["value"] if set(data) == {"value"} else text


def parse_key(text: str) -> Key | None:
    """The parts of a dotted key, or ``None`` where it is none."""
    parts = text.strip().split(".")
    if all(_BARE.match(part) for part in parts):
        return tuple(parts)
    try:
        node: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return None
    found: list[str] = []
    while isinstance(node, dict):
        if len(node) != 1:
            return None
        name, node = next(iter(node.items()))
        found.append(name)
    return tuple(found)


def key_lines(text: str) -> dict[Key, int]:
    """Each key and table header of a valid TOML text, and its line, counted from 1."""
    return dict(_key_lines(text))


def _key_lines(text: str) -> Iterator[tuple[Key, int]]:
    lines = text.splitlines()
    table: Key = ()
    counts: dict[Key, int] = {}
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("["):
            match = _HEADER.match(line)
            key = parse_key(match["name"]) if match else None
            if match is None or key is None:
                continue
            if match[1] == "[[":
                index = counts.get(key, 0)
                counts[key] = index + 1
                if index == 0:
                    yield key, number
                key = (*key, str(index))
            table = key
            yield table, number
            continue
        match = _KEY.match(line)
        key = parse_key(match["name"]) if match else None
        if match is None or key is None:
            continue
        yield (*table, *key), number
        number = _end_of_value(match["rest"], lines, number)


def _end_of_value(rest: str, lines: Sequence[str], number: int) -> int:
    """The index after the last line of a value that may run over several lines."""
    if not rest.lstrip().startswith(("[", "{", '"""', "'''")):
        return number
    value = rest
    while number <= len(lines):
        try:
            tomllib.loads(f"value ={value}")
        except tomllib.TOMLDecodeError:
            if number == len(lines):
                break
            value += "\n" + lines[number]
            number += 1
        else:
            break
    return number
