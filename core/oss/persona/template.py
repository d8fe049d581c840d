"""Templates of personas: variables, a few filters and ``if``; nothing that loops or calls.

Jinja's sandbox keeps a template from reaching Python. What the sandbox does not stop, endless
loops and texts that double themselves, cannot be written here at all: only the constructs in
``_ALLOWED`` are accepted.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment
    from jinja2.nodes import Template

MAX_CHARACTERS = 60_000
"""Of a rendered text; far above any system text that helps a model."""

FILTERS = ("capitalize", "default", "lower", "title", "trim", "upper")
TESTS = ("defined", "undefined")
_ALLOWED = (
    *("Template", "Output", "TemplateData", "Name", "Const", "If", "CondExpr", "Filter", "Test"),
    *("Not", "And", "Or", "Compare", "Operand", "Concat"),
)
_NAMES = {"For": "for", "Assign": "set", "Getattr": "attribute", "Call": "call"}

_PLAIN = re.compile(r"{{\s*(?!(?:[Tt]rue|[Ff]alse|[Nn]one|not)\b)([^\W\d]\w*)\s*}}")


def _plain_variables(text: str) -> set[str] | None:
    """The names in a text that has nothing but ``{{ name }}``, else ``None``.

    Importing Jinja takes longer than all the rest of a profile; such texts do without.
    """
    names: set[str] = set(_PLAIN.findall(text))
    return None if is_template(_PLAIN.sub("", text)) else names


@cache
def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.tests = {name: environment.tests[name] for name in TESTS}
    return environment


def is_template(text: str) -> bool:
    """Whether there is anything to fill in."""
    return "{{" in text or "{%" in text or "{#" in text


def parse(text: str, where: str) -> Template:
    """Parse and refuse what is not allowed.

    :param where: the persona and its part, for errors.
    :raises ConfigError: broken syntax or a construct outside the allowed ones; names the line.
    """
    from jinja2 import TemplateSyntaxError
    from jinja2.nodes import Filter, Node, Test

    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise ConfigError(
            f"{where}, line {error.lineno}: {error.message}",
            hint="to write {{ itself: {{ '{{' }}",
        ) from error
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply", hint="simplify it") from None
    for node in tree.find_all(Node):
        if type(node).__name__ not in _ALLOWED:
            kind = type(node).__name__
            what = f"'{_NAMES.get(kind, kind.lower())}' is not allowed in a persona"
        elif isinstance(node, Filter) and node.name not in FILTERS:
            what = f"no filter '{node.name}'"
        elif isinstance(node, Test) and node.name not in TESTS:
            what = f"no test '{node.name}'"
        else:
            continue
        raise ConfigError(
            f"{where}, line {node.lineno}: {what}",
            hint=f"use variables, `if`, `is defined`, and the filters {', '.join(FILTERS)}",
        )
    return tree


def variables_of(text: str, where: str) -> set[str]:
    """The names that a text uses.

    :raises ConfigError: as :func:`parse`.
    """
    names = _plain_variables(text)
    if names is not None:
        return names
    from jinja2.meta import find_undeclared_variables

    return find_undeclared_variables(parse(text, where))


def render(text: str, variables: Mapping[str, Any], where: str) -> str:
    """Fill in the variables.

    :raises ConfigError: as :func:`parse`; a variable without a value; a text that grew too long.
    """
    names = _plain_variables(text)
    if names is None:
        rendered = _render_with_jinja(text, variables, where)
    elif names <= set(variables):
        rendered = _PLAIN.sub(lambda match: str(variables[match[1]]), text)
    else:
        raise _undefined(text, variables, where)
    if len(rendered) > MAX_CHARACTERS:
        raise ConfigError(
            f"{where}: longer than {MAX_CHARACTERS} characters when filled in",
            hint="shorten the text or its variables",
        )
    return rendered


def _render_with_jinja(text: str, variables: Mapping[str, Any], where: str) -> str:
    from jinja2 import UndefinedError

    tree = parse(text, where)
    try:
        return _environment().from_string(tree).render(dict(variables))
    except UndefinedError as error:
        raise _undefined(text, variables, where) from error


def _undefined(text: str, variables: Mapping[str, Any], where: str) -> ConfigError:
    missing = sorted(variables_of(text, where) - set(variables))
    name = missing[0] if missing else "?"
    near = difflib.get_close_matches(name, list(variables), 1)
    hint = (
        f"did you mean '{near[0]}'?"
        if near
        else f"give it a value: --set persona.variables.{name}=..., or [variables] in its file"
    )
    return ConfigError(f"{where}: the variable '{name}' has no value", hint=hint)
