"""JSON Schemas that answers and tool arguments must satisfy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT_TYPES = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
}


def read_schema(text: str, where: str) -> dict[str, Any]:
    """A JSON Schema written out, or in the short form ``name, age int, tags [str]``.

    In the short form each field has a name, then a type (``str`` if left out; in brackets: a
    list), then perhaps a colon and a description; fields are divided by commas or lines, and all
    are required.

    :param where: what to call the text in an error.
    :raises UsageError: neither.
    """
    if text.lstrip().startswith("{"):
        try:
            schema = json.loads(text)
        except json.JSONDecodeError as error:
            raise UsageError(
                f"{where}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            ) from error
        check_schema(schema, where)
        return dict(schema)
    return _short_form(text, where)


def check_schema(schema: Any, where: str) -> None:
    """Refuse what is no JSON Schema.

    :raises UsageError: the message says where in the schema and why.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    if not isinstance(schema, dict):
        raise UsageError(f"{where}: a JSON Schema is an object, this is {type(schema).__name__}")
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        path = ".".join(str(part) for part in error.absolute_path) or "the top"
        raise UsageError(
            f"{where}: not a JSON Schema: at {path}: {_first_line(error.message)}",
            hint="see https://json-schema.org/understanding-json-schema",
        ) from error


def problem_with(text: str, schema: Mapping[str, Any]) -> str | None:
    """Why a JSON text does not satisfy the schema, in one line, or ``None``."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    return value_problem(value, schema)


def value_problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Why a value does not satisfy the schema, in one line, or ``None``."""
    from jsonschema.exceptions import best_match
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # An empty registry: a `$ref` is never fetched from the network.
    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
    try:
        error = best_match(validator.iter_errors(value))
    except Unresolvable as unresolvable:
        return f"the schema refers to {unresolvable.ref!r}, which is not in it"
    if error is None:
        return None
    path = ".".join(str(part) for part in error.absolute_path)
    return (f"{path}: " if path else "") + _first_line(error.message)


def _short_form(text: str, where: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in (part.strip() for part in text.replace("\n", ",").split(",")):
        if not field:
            continue
        head, _, description = field.partition(":")
        name, *rest = head.split()
        kind = " ".join(rest) or "str"
        listed = kind.startswith("[") and kind.endswith("]")
        inner = kind[1:-1].strip() if listed else kind
        if inner not in SHORT_TYPES or name in properties:
            why = "is there twice" if name in properties else f"has the unknown type '{kind}'"
            raise UsageError(
                f"{where}: field '{name}' {why}",
                hint=f"types: {', '.join(('str', 'int', 'float', 'bool'))}; a list is [str]",
            )
        schema: dict[str, Any] = {"type": SHORT_TYPES[inner]}
        if listed:
            schema = {"type": "array", "items": schema}
        if description.strip():
            schema["description"] = description.strip()
        properties[name] = schema
    if not properties:
        raise UsageError(f"{where}: the schema is empty", hint='for example: "name, age int"')
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _first_line(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= 200 else line[:199] + "…"
