"""A persona: who the model is to be, apart from which model it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from oss.contracts.chat import Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.chat import Effort

Archetype = Literal["assistant", "mentor", "critic", "partner", "expert", "editor"]


@dataclass(frozen=True)
class Example:
    """An exchange that shows the model how the persona answers."""

    user: str
    assistant: str


@dataclass(frozen=True)
class Persona:
    """A named way of answering.

    Either ``system`` holds the whole system text (a sandboxed Jinja template), or the parts do:
    what it holds and defends (``position``), how it acts (``behaviour``), its relation to the
    user (``archetype``), and how it writes (``style``). Both may be given; ``system`` comes first.
    ``collections`` are documents of its own, searched with every prompt.
    """

    name: str
    summary: str = ""
    system: str = ""
    position: str = ""
    behaviour: str = ""
    archetype: Archetype | None = None
    style: str = ""
    examples: tuple[Example, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    effort: Effort | None = None
    collections: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
