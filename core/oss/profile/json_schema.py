"""The JSON Schema of a profile (or persona), for editors and for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oss.profile.overrides import table_offers
from oss.profile.schema import Profile, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oss.contracts.descriptors import Option
    from oss.plugins.manager import Plugins

_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "path": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "string"}},
}


def profile_schema(plugins: Plugins | None = None) -> dict[str, Any]:
    """The schema of a profile; with ``plugins`` also of the options of what they offer."""
    schema = table_schema(Profile, "Profile of oss")
    definitions = schema["$defs"]
    for name, table in list(_open_tables(Profile)):
        definition = definitions[table.__name__]
        del definition["properties"]["options"]
        definition["additionalProperties"] = {"type": "object"}
        for offer in table_offers(plugins, name).values() if plugins else ():
            descriptor = offer.descriptor
            definition["properties"][descriptor.name] = {
                "type": "object",
                "description": descriptor.summary,
                "properties": {option.name: _option(option) for option in descriptor.options},
                "additionalProperties": False,
            }
    return schema


def table_schema(table: type[Table], title: str) -> dict[str, Any]:
    """The schema of a table as a TOML file has it: without null, which TOML does not know."""
    schema = msgspec.json.schema(table)
    root = schema.pop("$ref").rpartition("/")[2]
    definitions = {name: _without_null(part) for name, part in schema["$defs"].items()}
    top = definitions.pop(root)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **top,
        "title": title,
        "$defs": definitions,
    }


def _open_tables(table: type[Table]) -> Iterator[tuple[str, type[Table]]]:
    for field in msgspec.structs.fields(table):
        if isinstance(field.type, type) and issubclass(field.type, Table):
            if field.type.open_tables:
                yield field.name, field.type
            yield from _open_tables(field.type)


def _without_null(part: Any) -> Any:
    """Drop ``null`` from unions and defaults, and the defaults of tables, which say nothing."""
    if isinstance(part, list):
        return [_without_null(item) for item in part]
    if not isinstance(part, dict):
        return part
    result: dict[str, Any] = {}
    for key, value in part.items():
        if key == "anyOf":
            kept = [_without_null(choice) for choice in value if choice != {"type": "null"}]
            result.update(kept[0] if len(kept) == 1 else {"anyOf": kept})
        elif key == "enum":
            result[key] = [choice for choice in value if choice is not None]
        elif key == "examples":
            result[key] = value
        elif not _says_nothing(key, value):
            result[key] = _without_null(value)
    return result


def _says_nothing(key: str, value: Any) -> bool:
    return (key == "default" and (value is None or isinstance(value, dict))) or (
        key == "required" and not value
    )


def _option(option: Option) -> dict[str, Any]:
    schema: dict[str, Any] = {**_TYPES[option.type], "description": option.help}
    if option.default is not None:
        schema["default"] = option.default
    if option.choices:
        schema["enum"] = list(option.choices)
    if option.minimum is not None:
        schema["minimum"] = option.minimum
    if option.maximum is not None:
        schema["maximum"] = option.maximum
    return schema
