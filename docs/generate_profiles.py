"""Writes the generated parts of docs/profiles.md and docs/personas.md, and the JSON Schema.

python docs/generate_profiles.py            write
python docs/generate_profiles.py --check    exit 1 when something is out of date
"""

from __future__ import annotations

import json
import re
import sys
import types
import typing
from pathlib import Path

import msgspec

from oss.persona.schema import PersonaFile
from oss.profile.check import choices_of, describe, fields_of, sub_table
from oss.profile.json_schema import profile_schema
from oss.profile.overrides import known_keys
from oss.profile.schema import Profile, Table

DOCS = Path(__file__).parent
MARKS = re.compile(r"(<!-- keys -->\n).*?(<!-- /keys -->\n)", re.S)
BASIC = {str: "text", int: "integer", float: "number", bool: "true or false"}


def type_text(annotation: typing.Any) -> str:
    """A type as a reader of TOML knows it."""
    if choices := choices_of(annotation):
        return "one of " + ", ".join(f"`{choice}`" for choice in choices)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(args[0]) + "".join(_limits(meta) for meta in args[1:])
    if origin in (typing.Union, types.UnionType):
        return type_text(next(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        return "list of texts"
    if origin is dict:
        return "table of texts"
    return BASIC[annotation]


def _limits(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f", {meta.ge} to {meta.le}"
    if meta.gt is not None:
        return f", more than {meta.gt}"
    return f", at least {meta.ge}" if meta.ge is not None else ""


def default_text(default: typing.Any) -> str:
    """A default as TOML writes it, or a dash."""
    if default in (None, msgspec.NODEFAULT, ()) or isinstance(default, dict):
        return "-"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def key_tables(table: type[Table], *, variables: bool) -> str:
    """A Markdown table for each TOML table of a schema."""
    names = {key: "OSS_" + "_".join(key).upper() for key in known_keys()}
    top = {k: f for k, f in fields_of(table).items() if sub_table(f.type) is None}
    parts = ["### Keys at the top", "", *_rows(top, (), names if variables else {})]
    for name, field in fields_of(table).items():
        inner = sub_table(field.type)
        if inner is None:
            continue
        title = f"[[{name}]]" if inner[1] else f"[{name}]"
        about = (inner[0].__doc__ or "").strip()
        found = names if variables and not inner[1] else {}
        parts += ["", f"### `{title}`", "", about, "", *_rows(fields_of(inner[0]), (name,), found)]
    return "\n".join(parts) + "\n"


def _rows(
    fields: dict[str, typing.Any], table: tuple[str, ...], names: dict[tuple[str, ...], str]
) -> list[str]:
    rows = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        variable = names.get((*table, name))
        meaning = describe(field.type) + (f" `{variable}`" if variable else "")
        required = field.required and "required"
        default = required or default_text(field.default)
        rows.append(f"| `{name}` | {type_text(field.type)} | {default} | {meaning} |")
    return rows


def pages() -> dict[Path, str]:
    """Each generated file and what it should hold."""
    found = {}
    for name, table, variables in (("profiles", Profile, True), ("personas", PersonaFile, False)):
        page = DOCS / f"{name}.md"
        body = key_tables(table, variables=variables)
        text = page.read_text(encoding="utf-8")
        found[page] = MARKS.sub(lambda m, body=body: m[1] + "\n" + body + "\n" + m[2], text)  # type: ignore[misc]
    schema = json.dumps(profile_schema(), ensure_ascii=False, indent=2)
    found[DOCS / "profile.schema.json"] = schema + "\n"
    return found


if __name__ == "__main__":
    for path, text in pages().items():
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"docs/{path.name} is out of date: run python docs/generate_profiles.py")
