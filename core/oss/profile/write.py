"""Writes profiles: a commented new file, and single keys with comments kept."""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from oss.contracts.errors import ConfigError, UsageError
from oss.files import write_text
from oss.profile.check import KeyInfo, schema_keys
from oss.profile.schema import Profile
from oss.profile.toml_file import dotted, key_lines, parse_toml, read_text, show_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from oss.profile.schema import Table
    from oss.profile.toml_file import Key

SCHEMA_FILE = "profile.schema.json"
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


def check_name(name: str) -> str:
    """The name, if a file can be called so on every system.

    :raises UsageError: empty, a path, or with characters that some system refuses.
    """
    normal = unicodedata.normalize("NFC", name.strip())
    if not normal or normal.startswith(".") or _FORBIDDEN.search(normal) or len(normal) > 100:
        raise UsageError(
            f"'{name}' cannot be a name", hint="use letters, digits, - and _, such as 'my-coder'"
        )
    if normal.endswith((".toml", ".md")):
        raise UsageError(
            f"'{name}' is a file's name", hint=f"leave out the ending: {normal.rpartition('.')[0]}"
        )
    return normal


def new_profile_text(name: str, given: Mapping[Key, Any]) -> str:
    """A profile with the values given, and every other key as a comment that says what it does."""
    lines = [
        f"#:schema ./{SCHEMA_FILE}",
        f"# Every value and where it comes from: oss profile show {name}",
        f"# What is wrong with this file:        oss profile check {name}",
    ]
    return commented_toml(lines, Profile, given)


def commented_toml(
    head: Iterable[str],
    table: type[Table],
    given: Mapping[Key, Any],
    without: frozenset[Key] = frozenset(),
) -> str:
    """A TOML text of all keys of a schema; those not given are commented out."""
    import tomlkit

    lines = [*head]
    current: Key = ()
    for info in schema_keys(table):
        key = info.key
        if key in without:
            continue
        if key[:-1] != current:
            current = key[:-1]
            lines += ["", _header(table, current, given)]
        elif not current:
            lines.append("")
        if info.description:
            lines.append(f"# {info.description}")
        if key in given:
            lines.append(f"{key[-1]} = {tomlkit.item(given[key]).as_string()}")
        else:
            lines.append(f"# {key[-1]} = {sample(info)}")
    return "\n".join(lines) + "\n"


def _header(table: type[Table], key: Key, given: Mapping[Key, Any]) -> str:
    """``[table]``, or ``[[table]]`` commented out where an array has nothing in it yet."""
    from oss.profile.check import fields_of, sub_table

    inner = sub_table(fields_of(table)[key[0]].type)
    if inner is None or not inner[1]:
        return f"[{dotted(key)}]"
    return f"[[{key[0]}]]" if any(k[0] == key[0] for k in given) else f"# [[{key[0]}]]"


def sample(info: KeyInfo) -> str:
    """A value of a key as TOML writes it: its default, or the first example."""
    default = info.default
    if default in (msgspec.NODEFAULT, None, "", ()) or isinstance(default, (dict, list, tuple)):
        examples = examples_of(info.type)
        default = examples[0] if examples else default
    if isinstance(default, dict):
        inner = ", ".join(f"{name} = {json.dumps(value)}" for name, value in default.items())
        return f"{{ {inner} }}"
    if isinstance(default, (list, tuple)):
        return json.dumps(list(default), ensure_ascii=False)
    return json.dumps(default, ensure_ascii=False)


def examples_of(annotation: Any) -> list[Any]:
    """The examples in an annotation's metadata."""
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.examples:
            return meta.examples
    return []


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Write a file that is not there yet.

    :raises ConfigError: it is there and ``force`` is false.
    :raises StorageError: it cannot be written.
    """
    if path.exists() and not force:
        raise ConfigError(
            f"{show_path(path)} exists already", hint="--force replaces it; `edit` changes it"
        )
    write_text(path, text)


def set_keys(path: Path, values: Iterable[tuple[Key, Any]]) -> None:
    """Set keys in a profile's file; comments, order and layout of the rest are kept.

    Nothing is written when the result would not be a valid profile.

    :raises ConfigError: the file is broken, or a key or value is wrong.
    :raises StorageError: it cannot be written.
    """
    from oss.profile.resolve import Layer, layer_problems, problem_error

    text = read_text(path)
    parse_toml(text, path)
    changed = with_keys(text, values)
    layer = Layer(parse_toml(changed, path).data)
    for problem in layer_problems(layer):
        raise problem_error(problem, layer.origin(problem.key))
    write_text(path, changed)


def with_keys(text: str, values: Iterable[tuple[Key, Any]]) -> str:
    """The TOML text with keys set.

    A new key takes the place of the comment that shows it (``# temperature = 0.7``), as new
    profiles have them; without one it comes last in its table.
    """
    for key, value in values:
        text = _in_place_of_comment(text, key, value) or _with_key(text, key, value)
    return text


def _with_key(text: str, key: Key, value: Any) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    table: Any = document
    for part in key[:-1]:
        if isinstance(table, list):
            table = _item(table, part, key)
            continue
        if part not in table:
            table[part] = tomlkit.table()
        table = table[part]
    if not hasattr(table, "keys"):
        raise ConfigError(
            f"{dotted(key)}: '{dotted(key[:-1])}' is no table", hint="remove that key first"
        )
    table[key[-1]] = value
    return tomlkit.dumps(document)


def _in_place_of_comment(text: str, key: Key, value: Any) -> str | None:
    """The text with the key where a comment shows it, or ``None`` where none does."""
    import tomlkit

    known = key_lines(text)
    if key in known or (len(key) > 1 and key[:-1] not in known):
        return None
    lines = text.splitlines()
    start = known[key[:-1]] if len(key) > 1 else 0
    shown = f"# {key[-1]} = "
    for index in range(start, len(lines)):
        if lines[index].startswith(("[", "# [")):
            return None
        if lines[index].startswith(shown):
            item = tomlkit.item(value)
            if isinstance(value, dict):
                item = tomlkit.inline_table()
                item.update(value)
            lines[index] = f"{key[-1]} = {item.as_string()}"
            return "\n".join(lines) + "\n"
    return None


def _item(array: list[Any], part: str, key: Key) -> Any:
    if not part.isdecimal() or int(part) >= len(array):
        raise ConfigError(
            f"{dotted(key)}: there is no entry {part}", hint=f"there are {len(array)}, from 0 on"
        )
    return array[int(part)]


def to_toml(values: Iterable[tuple[Key, Any]]) -> str:
    """Keys and values as a TOML text; ``None`` is left out."""
    import tomlkit

    tree: dict[str, Any] = {}
    for key, value in values:
        if value is None:
            continue
        node: Any = tree
        for part, following in pairwise(key):
            if isinstance(node, list):
                while len(node) <= int(part):
                    node.append({})
                node = node[int(part)]
            else:
                node = node.setdefault(part, [] if following.isdecimal() else {})
        node[key[-1]] = list(value) if isinstance(value, tuple) else value
    return tomlkit.dumps(tree)
