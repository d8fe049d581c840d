"""The tools ``list_files`` and ``read_file``: below the working directory, and nowhere else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.contracts.messages import ToolSpec
from oss.contracts.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGEST_FILE = 1_000_000
"""Bytes."""
MOST_NAMES = 500


class ListFiles(Tool):
    """Names of files; hidden ones and what lies in hidden folders are left out."""

    spec = ToolSpec(
        "list_files",
        "List the files of the user's working directory, or of a folder in it, with all below.",
        {
            "type": "object",
            "properties": {"folder": {"type": "string", "description": "relative path"}},
            "additionalProperties": False,
        },
    )

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """One path a line, relative to the working directory."""
        return await asyncio.to_thread(self._list, str(arguments.get("folder", ".")))

    def _list(self, folder: str) -> str:
        root = inside(folder)
        if not root.is_dir():
            raise UsageError(f"there is no folder '{folder}'")
        names: list[str] = []
        for path in _files(root):
            if len(names) == MOST_NAMES:
                names.append(f"(only the first {MOST_NAMES} are listed)")
                break
            names.append(str(path.relative_to(Path.cwd().resolve())))
        return "\n".join(names) or "(no files)"


class ReadFile(Tool):
    """The text of one file."""

    spec = ToolSpec(
        "read_file",
        "Read a text file of the user's working directory.",
        {
            "type": "object",
            "properties": {"path": {"type": "string", "description": "relative path"}},
            "required": ["path"],
            "additionalProperties": False,
        },
    )

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """The text, UTF-8."""
        return await asyncio.to_thread(self._read, str(arguments["path"]))

    def _read(self, name: str) -> str:
        path = inside(name)
        if not path.is_file():
            raise UsageError(f"there is no file '{name}'")
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise UsageError(f"'{name}' is larger than {LARGEST_FILE} bytes")
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"'{name}' is not UTF-8 text") from error
        except OSError as error:
            raise UsageError(f"cannot read '{name}': {error.strerror or error}") from error


def inside(name: str) -> Path:
    """The real path of a name, if it lies in the working directory and is not hidden.

    :raises UsageError: it lies elsewhere, be it by a symbolic link.
    """
    root = Path.cwd().resolve()
    try:
        path = (root / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"no usable path: {name!r}") from error
    if not path.is_relative_to(root):
        raise UsageError(f"'{name}' is outside of the working directory")
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        raise UsageError(f"'{name}' is hidden; hidden files are not shown to models")
    return path


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder) / name
