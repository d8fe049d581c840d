"""Reads the file of a persona: TOML, or Markdown with front matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oss.contracts.chat import Sampling
from oss.contracts.errors import ConfigError
from oss.contracts.persona import Example, Persona
from oss.persona.schema import PersonaFile
from oss.profile.check import Problem, find_problems
from oss.profile.find import same_name
from oss.profile.toml_file import TomlFile, dotted, parse_toml, read_text, read_toml, show_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss.profile.toml_file import Key

SUFFIXES = (".toml", ".md")
_FENCES = ("---", "+++")


def read_persona(path: Path) -> Persona:
    """The persona of a file; its name is the file's.

    :raises ConfigError: unreadable, broken, unknown keys, wrong values; the first one, with
        file and line.
    """
    file, problems = check_file(path)
    for problem in problems:
        raise problem_error(problem, file)
    table = msgspec.convert(file.data, PersonaFile)
    return Persona(
        name=same_name(path.stem),
        summary=table.summary,
        system=table.system,
        position=table.position,
        behaviour=table.behaviour,
        archetype=table.archetype,
        style=table.style,
        examples=tuple(Example(e.user, e.assistant) for e in table.example),
        sampling=Sampling(**msgspec.structs.asdict(table.sampling)),
        effort=table.reasoning.effort,
        collections=table.collections,
        variables=table.variables,
    )


def check_file(path: Path) -> tuple[TomlFile, list[Problem]]:
    """The parsed file and all that is wrong with its keys.

    :raises ConfigError: it cannot be read or parsed at all.
    """
    file = read_markdown(path) if path.suffix == ".md" else read_toml(path)
    return file, list(_problems(file.data))


def problem_error(problem: Problem, file: TomlFile) -> ConfigError:
    """The error for a problem: file, line, key, what was expected."""
    line = file.line(problem.key)
    where = f"{show_path(file.path)}:{line}" if line else show_path(file.path)
    key = f"{dotted(problem.key)}: " if problem.key else ""
    return ConfigError(f"{where}: {key}{problem.message}", hint=problem.hint)


def _problems(data: dict[str, Any]) -> Iterator[Problem]:
    found = list(find_problems(data, PersonaFile))
    yield from found
    variables = data.get("variables")
    for name in variables if isinstance(variables, dict) else ():
        if not name.isidentifier():
            yield Problem(("variables", name), "not a name", "letters, digits and _ only")
    texts = (data.get(key) for key in ("system", "position", "behaviour", "style"))
    if not found and not any(isinstance(t, str) and t.strip() for t in texts):
        yield Problem((), "the persona says nothing", "write `system`, or `behaviour` and `style`")


def read_markdown(path: Path) -> TomlFile:
    """The keys of a Markdown file's front matter; its body is ``system``.

    Front matter stands between two lines ``---`` (YAML) or ``+++`` (TOML); without any, the whole
    file is the system text.

    :raises ConfigError: unreadable, not closed, broken; names file and line.
    """
    text = read_text(path)
    lines = text.splitlines()
    fence = lines[0].strip() if lines else ""
    if fence not in _FENCES:
        return TomlFile(path, {"system": text.strip()}, {("system",): 1})
    end = next((i for i, line in enumerate(lines[1:], 1) if line.strip() == fence), None)
    if end is None:
        raise ConfigError(
            f"{show_path(path)}:1: the front matter is not closed",
            hint=f"put a line {fence} after its last key",
        )
    head = "\n".join(lines[1:end])
    file = parse_toml(head, path, 2) if fence == "+++" else _parse_yaml(head, path)
    body = "\n".join(lines[end + 1 :]).strip()
    if body and "system" in file.data:
        raise ConfigError(
            f"{show_path(path)}:{file.line(('system',))}: system: the text below the front matter "
            "is the system text already",
            hint="keep one of the two",
        )
    if not body:
        return file
    return TomlFile(path, {**file.data, "system": body}, {**file.lines, ("system",): end + 2})


def _parse_yaml(text: str, path: Path) -> TomlFile:
    import yaml

    shown = show_path(path)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 2 if event.start_mark else 2
                raise ConfigError(
                    f"{shown}:{line}: YAML aliases are not used here", hint="write the text again"
                )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 2 if mark else 1
        raise ConfigError(
            f"{shown}:{line}: broken YAML: {error.problem}",
            hint="`key: value`, one on each line; quote a text that has a colon in it",
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-99-99
        raise ConfigError(
            f"{shown}: broken YAML: {str(error).splitlines()[0]}",
            hint="use plain texts and numbers",
        ) from error
    if data is None:
        return TomlFile(path, {})
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(
            f"{shown}:2: the front matter is not a table of keys", hint="write `summary: ...`"
        )
    lines: dict[Key, int] = {}
    for key, line in _yaml_lines(node, ()):
        if key in lines:
            raise ConfigError(f"{shown}:{line}: {dotted(key)}: given twice", hint="keep one")
        lines[key] = line
    return TomlFile(path, data, lines)


def _yaml_lines(node: Any, key: Key) -> Iterator[tuple[Key, int]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = (*key, str(name.value))
            yield inner, name.start_mark.line + 2
            yield from _yaml_lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*key, str(index))
            yield inner, value.start_mark.line + 2
            yield from _yaml_lines(value, inner)
