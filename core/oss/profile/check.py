"""Compares a file's tables with the schema and says all that is wrong."""

from __future__ import annotations

import difflib
import re
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from oss.profile.schema import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from oss.profile.toml_file import Key


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one key."""

    key: Key
    message: str
    hint: str | None = None


class KeyInfo(typing.NamedTuple):
    """A key of the schema: its type, its default, what it means."""

    key: Key
    type: Any
    default: Any
    description: str


def sub_table(annotation: Any) -> tuple[type[Table], bool] | None:
    """The table that a field holds, and whether it is an array of them."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation, False
    if typing.get_origin(annotation) is tuple:
        item = typing.get_args(annotation)[0]
        if isinstance(item, type) and issubclass(item, Table):
            return item, True
    return None


def fields_of(table: type[Table]) -> dict[str, Any]:
    """Field name to its msgspec description; the options of open tables are not a key."""
    return {
        field.name: field
        for field in msgspec.structs.fields(table)
        if not (table.open_tables and field.name == "options")
    }


def schema_keys(table: type[Table], path: Key = ()) -> Iterator[KeyInfo]:
    """Every key of a schema, tables opened; keys of an array of tables stand under its name."""
    for name, field in fields_of(table).items():
        if inner := sub_table(field.type):
            yield from schema_keys(inner[0], (*path, name))
        else:
            yield KeyInfo((*path, name), field.type, field.default, describe(field.type))


def describe(annotation: Any) -> str:
    """The description in an annotation's metadata."""
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description:
            return meta.description
    return ""


def find_problems(data: Mapping[str, Any], table: type[Table], path: Key = ()) -> Iterator[Problem]:
    """All unknown keys and wrong values, in the order of the file."""
    fields = fields_of(table)
    for name, value in data.items():
        key = (*path, name)
        if name in fields:
            yield from _check_value(value, fields[name].type, key)
        elif not (table.open_tables and isinstance(value, dict)):
            yield Problem(key, "unknown key", _nearest(name, fields, table, path))


def _check_value(value: Any, annotation: Any, key: Key) -> Iterator[Problem]:
    inner = sub_table(annotation)
    if inner is None:
        problem = value_problem(value, annotation)
        if problem:
            yield Problem(key, *problem)
        return
    table, many = inner
    if not many:
        if isinstance(value, dict):
            yield from find_problems(value, table, key)
        else:
            yield Problem(key, "expected a table", f"write [{key[-1]}], then one key on each line")
        return
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        yield Problem(
            key, "expected an array of tables", f"write [[{key[-1]}]], then one key on each line"
        )
        return
    for index, item in enumerate(value):
        here = (*key, str(index))
        yield from find_problems(item, table, here)
        for name, field in fields_of(table).items():
            if field.required and name not in item:
                yield Problem(here, f"the key '{name}' is missing", describe(field.type) or None)


def value_problem(value: Any, annotation: Any) -> tuple[str, str | None] | None:
    """What is wrong with a value, and what to do; ``None`` when nothing is."""
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        return _explain(error, value, annotation)
    return None


def choices_of(annotation: Any) -> tuple[str, ...]:
    """The texts that a Literal allows, looking through Annotated and ``| None``."""
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return tuple(str(choice) for choice in typing.get_args(annotation))
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        return tuple(choice for part in typing.get_args(annotation) for choice in choices_of(part))
    return ()


_NAMES = {
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def _explain(error: msgspec.ValidationError, value: Any, annotation: Any) -> tuple[str, str | None]:
    """msgspec's message in the words of TOML, and a hint."""
    about = describe(annotation)
    hint = f"it is: {about}" if about else None
    if choices := choices_of(annotation):
        near = difflib.get_close_matches(str(value), choices, 1)
        message = f"expected one of {', '.join(choices)}; got {value!r}"
        return message, f"did you mean '{near[0]}'?" if near else hint
    text, _, where = str(error).replace(" | null", "").partition(" - at ")
    text = re.sub(r"`(\w+)`", lambda match: _NAMES.get(match[1], match[1]), text)
    message = (text[0].lower() + text[1:]).replace("`", "").replace(".0", "")
    if isinstance(value, (str, int, float, bool)) and not where.strip("`$"):
        message = f"{message.partition(', got ')[0]}, got {value!r}"
    if isinstance(value, str) and "expected a list" in message:
        hint = f'write a list: ["{value}"]'
    return message, hint


def _nearest(name: str, fields: Mapping[str, Any], table: type[Table], path: Key) -> str:
    near = difflib.get_close_matches(name, fields, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    if not path:
        inside = [info.key for info in schema_keys(table) if info.key[-1] == name]
        if inside:
            return f"did you mean '{'.'.join(inside[0])}'?"
    return f"known here: {', '.join(fields)}"
