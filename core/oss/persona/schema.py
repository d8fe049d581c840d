"""The file of a persona: every key, its meaning and its default."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from oss.profile.schema import SamplingTable, Table


class ExampleTable(Table, frozen=True):
    """An exchange that shows how the persona answers."""

    user: Annotated[str, Meta(description="What the user says.")]
    assistant: Annotated[str, Meta(description="What the persona answers.")]


class PersonaReasoning(Table, frozen=True):
    """How a reasoning model thinks under this persona."""

    effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high"] | None,
        Meta(description="How much to think; the profile's own value wins."),
    ] = None


class PersonaFile(Table, frozen=True):
    """A persona: who the model is to be."""

    summary: Annotated[str, Meta(description="One line for `oss persona list`.")] = ""
    system: Annotated[
        str, Meta(description="The whole system text, or its beginning; in Markdown the body.")
    ] = ""
    position: Annotated[str, Meta(description="What it holds and defends.")] = ""
    behaviour: Annotated[str, Meta(description="What it does, step by step.")] = ""
    archetype: Annotated[
        Literal["assistant", "mentor", "critic", "partner", "expert", "editor"] | None,
        Meta(description="Its relation to the user."),
    ] = None
    style: Annotated[str, Meta(description="How its answers read.")] = ""
    variables: Annotated[
        dict[str, str], Meta(description="Names used in the text, with their default values.")
    ] = field(default_factory=dict)
    sampling: SamplingTable = SamplingTable()
    reasoning: PersonaReasoning = PersonaReasoning()
    example: tuple[ExampleTable, ...] = ()
