"""System text, examples and sampling of personas; what a template may not do."""

from __future__ import annotations

import datetime as dt
import getpass

import pytest

from oss.contracts.chat import Sampling
from oss.contracts.errors import ConfigError
from oss.contracts.persona import Example, Persona
from oss.persona import merge_sampling, persona_messages, render_system
from oss.persona.render import needed_variables
from oss.profile.schema import SamplingTable


def test_parts_stand_in_a_fixed_order_and_the_date_last() -> None:
    persona = Persona(
        "p",
        system="S",
        position="P on {{ date }}",
        behaviour="B",
        archetype="critic",
        style="T",
    )
    text = render_system(persona, {}, date="2026-01-31")
    parts = text.split("\n\n")
    assert [part[0] for part in parts] == ["S", "Y", "B", "T", "P"]
    assert parts[-1] == "P on 2026-01-31"
    later = render_system(persona, {}, date="2026-02-01")
    assert later[: text.index("2026")] == text[: text.index("2026")]


def test_date_and_user_are_given() -> None:
    text = render_system(Persona("p", system="{{ user }} {{ date }}"), {})
    user, date = text.rsplit(" ", 1)
    assert user == getpass.getuser()
    assert dt.date.fromisoformat(date)


@pytest.mark.parametrize("name", ["date", "user"])
def test_they_cannot_be_given_by_others(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is given by oss"):
        render_system(Persona("p", system="x"), {name: "y"})
    with pytest.raises(ConfigError, match=f"'{name}' is given by oss"):
        render_system(Persona("p", system="x", variables={name: "y"}), {})


def test_the_profile_s_variables_win() -> None:
    persona = Persona("p", system="{{ a }} {{ b }}", variables={"a": "1", "b": "2"})
    assert render_system(persona, {"b": "3"}) == "1 3"


def test_values_are_not_templates_and_not_escaped() -> None:
    value = "{{ user }} {% for %} <b>&amp;</b> \\1 \\g<0>"
    for text in ("{{ v }}", "{% if v %}{{ v }}{% endif %}"):
        assert render_system(Persona("p", system=text), {"v": value}) == value


def test_cyrillic_text_and_names() -> None:
    persona = Persona("учитель", system="Тема: {{ тема }}.", variables={"тема": "вилки"})
    assert render_system(persona, {}) == "Тема: вилки."
    assert render_system(persona, {"тема": "связки"}) == "Тема: связки."


def test_conditions_filters_and_defaults() -> None:
    text = (
        "{% if level is defined and level == 'new' %}Go slowly.{% elif level %}Go on."
        "{% else %}Ask.{% endif %} {{ name|default('friend')|upper }} {{ '{{' }} {# a note #}"
    )
    persona = Persona("p", system=text, variables={"level": ""})
    assert render_system(persona, {"level": "new"}) == "Go slowly. FRIEND {{"
    assert render_system(persona, {"level": "old", "name": "Аня"}) == "Go on. АНЯ {{"
    assert render_system(persona, {}) == "Ask. FRIEND {{"


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in 'abc' %}{% endfor %}",
        "{% set a = 'x' %}{% set a = a ~ a %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ 'a' * 9999999999999 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ 'x'|center(9999999999) }}",
        "{{ range(10) }}",
        "{{ lipsum() }}",
        "{{ cycler }}",
        "{{ self }}",
        "{% include '/etc/passwd' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{% macro a() %}{{ a() }}{% endmacro %}",
        "{% block a %}{% endblock %}",
        "{{ x",
        "{% if x %}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    ],
)
def test_what_a_template_may_not_do(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render_system(Persona("p", system=text), {"x": "1"})
    assert caught.value.message.startswith("persona 'p', system")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_missing_variable_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="the variable 'topc' has no value") as caught:
        render_system(Persona("p", system="{{ topc }}", variables={"topic": "x"}), {})
    assert caught.value.hint == "did you mean 'topic'?"
    with pytest.raises(ConfigError) as caught:
        render_system(Persona("p", style="{% if a %}{{ weather }}{% endif %}"), {"a": "1"})
    assert caught.value.message == "persona 'p', style: the variable 'weather' has no value"
    assert "persona.variables.weather" in (caught.value.hint or "")


def test_a_text_that_grows_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer than"):
        render_system(Persona("p", system="{{ v }}"), {"v": "x" * 100_000})
    with pytest.raises(ConfigError, match="longer than"):
        render_system(Persona("p", system="{{ v ~ v }}"), {"v": "x" * 40_000})


def test_examples_become_turns() -> None:
    persona = Persona(
        "p", system="S", examples=(Example("hi {{ a }}", "ho"), Example("one", "two"))
    )
    messages = persona_messages(persona, {"a": "Аня"})
    assert [(m.role, m.content) for m in messages] == [
        ("system", "S"),
        ("user", "hi Аня"),
        ("assistant", "ho"),
        ("user", "one"),
        ("assistant", "two"),
    ]
    assert persona_messages(Persona("empty"), {}) == []


def test_the_profile_s_sampling_wins() -> None:
    persona = Sampling(temperature=0.3, top_k=5, stop=("X",))
    merged = merge_sampling(SamplingTable(temperature=0.0, seed=1), persona)
    assert merged == Sampling(temperature=0.0, top_k=5, seed=1, stop=("X",))
    assert merge_sampling(SamplingTable(stop=("Y",)), persona).stop == ("Y",)


def test_every_sampling_key_of_a_profile_reaches_the_request() -> None:
    from dataclasses import fields

    assert {f.name for f in fields(Sampling)} == set(SamplingTable.__struct_fields__)


def test_needed_variables() -> None:
    persona = Persona(
        "p",
        system="{{ a }} {{ date }}",
        style="{% if b %}x{% endif %}",
        examples=(Example("{{ c }}", "{{ d }}"),),
        variables={"a": "1"},
    )
    assert needed_variables(persona) == {"b", "c", "d"}
