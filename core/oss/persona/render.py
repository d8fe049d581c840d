"""From a persona to the messages and settings it asks for."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from oss.contracts.chat import Sampling
from oss.contracts.errors import ConfigError
from oss.contracts.messages import Message
from oss.persona.template import render, variables_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.persona import Persona
    from oss.profile.schema import SamplingTable

GIVEN = ("date", "user")
"""Variables that every template has; a persona or profile cannot give them."""

_ARCHETYPES = {
    "assistant": "You are the user's assistant: you do what is asked, fully.",
    "mentor": "You are the user's mentor: you help them find the answer themselves.",
    "critic": "You are the user's critic: you look for what is wrong before it costs them.",
    "partner": "You are the user's partner: you share the goal and say when you disagree.",
    "expert": "You are the expert the user asks: you know the field, and say where you do not.",
    "editor": "You are the user's editor: you make their text better and keep their voice.",
}


def render_system(
    persona: Persona,
    variables: Mapping[str, str],
    *,
    date: str | None = None,
    user: str | None = None,
) -> str:
    """The system text of a persona.

    Its parts stand in a fixed order, those that use ``date`` after all others: what an engine
    has cached of the text before stays good until the day changes.

    :param variables: those of the profile; they win over the persona's own.
    :param date: ``2026-11-22``; today if left out.
    :param user: the login name if left out.
    :raises ConfigError: a broken template, or a variable without a value.
    """
    values = _values(persona, variables, date, user)
    stable: list[str] = []
    dated: list[str] = []
    for part, text in _parts(persona).items():
        where = f"persona '{persona.name}', {part}"
        rendered = render(text, values, where).strip()
        if rendered:
            (dated if "date" in variables_of(text, where) else stable).append(rendered)
    return "\n\n".join([*stable, *dated])


def persona_messages(
    persona: Persona,
    variables: Mapping[str, str],
    *,
    date: str | None = None,
    user: str | None = None,
) -> list[Message]:
    """The system message, then the examples as turns of the user and the assistant.

    :raises ConfigError: as :func:`render_system`.
    """
    system = render_system(persona, variables, date=date, user=user)
    messages = [Message("system", system)] if system else []
    values = _values(persona, variables, date, user)
    for number, example in enumerate(persona.examples, 1):
        where = f"persona '{persona.name}', example {number}"
        messages.append(Message("user", render(example.user, values, where).strip()))
        messages.append(Message("assistant", render(example.assistant, values, where).strip()))
    return messages


def merge_sampling(profile: SamplingTable, persona: Sampling) -> Sampling:
    """The profile's values; the persona's where the profile has none."""
    merged: dict[str, Any] = {}
    for field in fields(Sampling):
        own = getattr(profile, field.name)
        unset = own is None or own == ()
        merged[field.name] = getattr(persona, field.name) if unset else own
    return Sampling(**merged)


def needed_variables(persona: Persona) -> set[str]:
    """Names used in the persona's texts for which it has no value of its own.

    :raises ConfigError: a broken template.
    """
    texts = dict(_parts(persona))
    for number, example in enumerate(persona.examples, 1):
        texts[f"example {number}"] = f"{example.user}\n{example.assistant}"
    used: set[str] = set()
    for part, text in texts.items():
        used |= variables_of(text, f"persona '{persona.name}', {part}")
    return used - set(persona.variables) - set(GIVEN)


def _parts(persona: Persona) -> dict[str, str]:
    """The parts with a text, in their order in the system text."""
    parts = {
        "system": persona.system,
        "archetype": _ARCHETYPES[persona.archetype] if persona.archetype else "",
        "position": persona.position,
        "behaviour": persona.behaviour,
        "style": persona.style,
    }
    return {name: text for name, text in parts.items() if text.strip()}


def _values(
    persona: Persona, variables: Mapping[str, str], date: str | None, user: str | None
) -> dict[str, str]:
    for name in GIVEN:
        if name in variables or name in persona.variables:
            raise ConfigError(
                f"persona '{persona.name}': the variable '{name}' is given by oss",
                hint="choose another name",
            )
    return {
        **persona.variables,
        **variables,
        "date": date if date is not None else _today(),
        "user": user if user is not None else _login(),
    }


def _today() -> str:
    import datetime as dt

    return dt.datetime.now().astimezone().date().isoformat()


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user id in the password file (containers)
        return "user"
