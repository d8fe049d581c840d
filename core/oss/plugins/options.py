"""Options of plugins' parts: declared once in a descriptor, checked here for all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from oss.contracts.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from oss.contracts.descriptors import Descriptor, Option

_EXPECTED = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "path": "a path, as text",
    "list": "a list of texts",
}


class OptionProblem(NamedTuple):
    """One thing that is wrong with one option."""

    option: str
    message: str
    hint: str | None


def validate(descriptor: Descriptor, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All options of a part: those given, checked, and the defaults of the rest.

    Values have the type that the option declares; ``path`` becomes a :class:`pathlib.Path`
    (``None`` stays ``None``), ``int`` is accepted for ``float``.

    :param where: what to call the table in an error, such as ``backend.llamacpp``.
    :raises ConfigError: an unknown option or a wrong value; the first one found.
    """
    for problem in find_option_problems(descriptor, given):
        raise ConfigError(f"{where}.{problem.option}: {problem.message}", hint=problem.hint)
    return {
        option.name: _typed(option, given.get(option.name, option.default))
        for option in descriptor.options
    }


def parse_options(pairs: Iterable[str], what: str) -> dict[str, Any]:
    """``key=value`` texts as a table of options; values are read as TOML where they are such.

    :param what: whose options they are, for the error.
    :raises UsageError: a text has no ``=``, or nothing before it.
    """
    from oss.profile.toml_file import parse_value

    table = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals):
            raise UsageError(f"{what}: '{pair}' is not of the form KEY=VALUE")
        table[name.strip()] = parse_value(value.strip())
    return table


def find_option_problems(
    descriptor: Descriptor, given: Mapping[str, Any]
) -> Iterator[OptionProblem]:
    """Everything wrong with the options given."""
    known = {option.name: option for option in descriptor.options}
    for name, value in given.items():
        if name not in known:
            near = _nearest(name, known)
            hint = near or f"known: {', '.join(known) or 'none'}"
            yield OptionProblem(name, f"'{descriptor.name}' has no such option", hint)
        elif problem := _wrong(known[name], value):
            yield OptionProblem(name, *problem)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean '{near[0]}'?" if near else None


def _wrong(option: Option, value: Any) -> tuple[str, str | None] | None:
    if not _has_type(option, value):
        return f"expected {_EXPECTED[option.type]}, got {value!r}", f"it is: {option.help}"
    if option.choices and value not in option.choices:
        hint = _nearest(str(value), option.choices)
        return f"expected one of {', '.join(option.choices)}; got {value!r}", hint
    if option.minimum is not None and value < option.minimum:
        return f"expected at least {option.minimum:g}, got {value!r}", f"it is: {option.help}"
    if option.maximum is not None and value > option.maximum:
        return f"expected at most {option.maximum:g}, got {value!r}", f"it is: {option.help}"
    return None


def _has_type(option: Option, value: Any) -> bool:
    match option.type:
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
        case "str" | "path":
            return isinstance(value, str)


def _typed(option: Option, value: Any) -> Any:
    if value is None:
        return None
    match option.type:
        case "float":
            return float(value)
        case "list":
            return list(value)
        case "path":
            return Path(value).expanduser()
        case _:
            return value
