"""What a person wants in place of what the profile says."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Choices:
    """What a person wants in place of what the profile says.

    :param adapters: ``path`` or ``path:scale``, beside those of the profile.
    :param sets: texts ``table.key=value``.
    """

    profile: str | None = None
    persona: str | None = None
    model: str | None = None
    backend: str | None = None
    adapters: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    def all_sets(self) -> list[str]:
        """The choices that stand for keys of the profile, and ``sets``; choices win."""
        named = {
            "persona.name": self.persona,
            "model.name": self.model,
            "backend.name": self.backend,
        }
        # A JSON text is a TOML one.
        given = [
            f"{key}={json.dumps(value, ensure_ascii=False)}"
            for key, value in named.items()
            if value is not None
        ]
        return [*self.sets, *given]

    def with_profile(self, name: str) -> Choices:
        """Another profile, which comes with its own persona and model."""
        return replace(self, profile=name, persona=None, model=None)

    def with_persona(self, name: str) -> Choices:
        """Another persona, in place of a system text too."""
        return replace(self, persona=name, sets=_without(self.sets, "persona.system"))

    def with_system(self, text: str) -> Choices:
        """A system text, in place of a persona."""
        return replace(self, persona=None).with_set(
            f"persona.system={json.dumps(text, ensure_ascii=False)}"
        )

    def with_model(self, name: str) -> Choices:
        """Another model."""
        return replace(self, model=name)

    def with_adapter(self, given: str | None) -> Choices:
        """This adapter beside those of the profile; ``None``: those of the profile alone."""
        return replace(self, adapters=(given,) if given else ())

    def with_set(self, given: str) -> Choices:
        """``table.key=value``, in place of an earlier value of the key."""
        return replace(self, sets=(*_without(self.sets, given.partition("=")[0].strip()), given))


def _without(sets: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(text for text in sets if text.partition("=")[0].strip() != key)
