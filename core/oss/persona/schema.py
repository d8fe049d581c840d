"""The file of a persona: every key, its meaning and its default."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from oss.profile.schema import SamplingTable, Table


class ExampleTable(Table, frozen=True):
    """An exchange that shows how the persona answers."""

    user: Annotated[str, Meta(description="What the user says.", examples=["Is this a good plan?"])]
    assistant: Annotated[
        str, Meta(description="What the persona answers.", examples=["It has one weak point."])
    ]


class PersonaReasoning(Table, frozen=True):
    """How a reasoning model thinks under this persona."""

    effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high"] | None,
        Meta(description="How much to think; the profile's own value wins.", examples=["low"]),
    ] = None


class PersonaFile(Table, frozen=True):
    """A persona: who the model is to be."""

    summary: Annotated[
        str, Meta(description="One line for `oss persona list`.", examples=["What it is for"])
    ] = ""
    system: Annotated[
        str,
        Meta(
            description="The system text, or its beginning; in Markdown it is the text below.",
            examples=["You are a chess teacher."],
        ),
    ] = ""
    position: Annotated[
        str, Meta(description="What it holds and defends.", examples=["Tactics before openings."])
    ] = ""
    behaviour: Annotated[
        str,
        Meta(
            description="What it does, one short sentence for each step.",
            examples=["Ask for the position first."],
        ),
    ] = ""
    archetype: Annotated[
        Literal["assistant", "mentor", "critic", "partner", "expert", "editor"] | None,
        Meta(description="Its relation to the user.", examples=["mentor"]),
    ] = None
    style: Annotated[
        str, Meta(description="How its answers read.", examples=["Two sentences at most."])
    ] = ""
    collections: Annotated[
        tuple[str, ...],
        Meta(
            description="Collections of documents of its own, searched with every prompt.",
            examples=[["physics"]],
        ),
    ] = ()
    variables: Annotated[
        dict[str, str],
        Meta(
            description="Names used in the text as {{ name }}, with their values.",
            examples=[{"topic": "chess"}],
        ),
    ] = field(default_factory=dict)
    sampling: SamplingTable = SamplingTable()
    reasoning: PersonaReasoning = PersonaReasoning()
    example: tuple[ExampleTable, ...] = ()
