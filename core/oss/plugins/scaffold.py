"""Writes a new plugin package: small, complete, with a test that passes."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from oss import __version__
from oss.contracts.errors import StorageError, UsageError

if TYPE_CHECKING:
    from oss.plugins.offers import Kind


class Part(NamedTuple):
    """What one kind of plugin offers.

    :param attribute: what its module defines; ``{}`` stands for the plugin's name.
    :param option: source text of the option in its descriptor.
    """

    offers: Kind
    attribute: str
    option: str = ""


PARTS = {
    "backend": Part(
        "backends",
        "{}Backend",
        'Option("context", "int", 0, "tokens of context; 0 is 2048", minimum=0)',
    ),
    "persona": Part("personas", "PERSONA"),
    "tool": Part("tools", "{}Tool"),
    "retriever": Part(
        "retrievers",
        "{}Retriever",
        'Option("shortest", "int", 3, "letters of the shortest word", minimum=1)',
    ),
    "embedder": Part(
        "embedders",
        "{}Embedder",
        'Option("dimension", "int", 64, "length of the vectors", minimum=2)',
    ),
    "command": Part("commands", "command"),
}


def write_plugin(name: str, kind: str, parent: Path) -> Path:
    """Write the package ``oss-NAME`` in a new folder of ``parent``; returns the folder.

    :raises UsageError: a name that no distribution can have, or the folder is there already.
    :raises StorageError: it cannot be written; nothing is left behind.
    """
    name = name.removeprefix("oss-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"'{name}' cannot name a plugin", hint="small letters, digits and single hyphens"
        )
    target = parent / f"oss-{name}"
    if target.exists():
        raise UsageError(f"{target} is there already", hint="choose another name or folder")
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".oss-new-") as scratch:
            files = render(name, kind)
            for relative, text in files.items():
                file = Path(scratch, "package", relative)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            shutil.move(Path(scratch, "package"), target)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def render(name: str, kind: str) -> dict[str, str]:
    """The files of a new plugin: relative path to text."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701  writes Python and TOML, not HTML
        loader=jinja2.PackageLoader("oss.plugins", "template"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    values = _values(name, kind)
    package, module = values["package"], values["module"]
    sources = {
        "pyproject.toml": "pyproject.toml.jinja",
        "README.md": "README.md.jinja",
        ".gitignore": "gitignore.jinja",
        f"src/{package}/__init__.py": "__init__.py.jinja",
        f"src/{package}/{module}.py": f"kinds/{kind}.py.jinja",
        f"tests/test_{module}.py": f"kinds/{kind}_test.py.jinja",
    }
    files = {
        path: environment.get_template(template).render(values)
        for path, template in sources.items()
    }
    return {**files, f"src/{package}/py.typed": ""}


def _values(name: str, kind: str) -> dict[str, Any]:
    part = PARTS[kind]
    identifier = name.replace("-", "_")
    camel = "".join(word.capitalize() for word in name.split("-"))
    return {
        "name": name,
        "kind": kind,
        "distribution": f"oss-{name}",
        "package": f"oss_{identifier}",
        "module": kind,
        "identifier": identifier,
        "camel": camel,
        "attribute": part.attribute.format(camel),
        "hook": f"oss_{part.offers}",
        "offers": part.offers,
        "option": part.option,
        "summary": f"A {kind} for oss." if kind[0] not in "aeiou" else f"An {kind} for oss.",
        "core_version": __version__,
    }
