"""What a profile stands for on this machine: the model, the engine, and the rest of the turn.

Nothing is loaded here: what cannot work is refused before the model is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.contracts.adapter import AdapterRef
from oss.contracts.errors import BackendError, CapabilityError, ConfigError
from oss.contracts.persona import Persona

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.contracts.backend import Backend
    from oss.contracts.chat import Effort, Sampling
    from oss.contracts.descriptors import Descriptor
    from oss.contracts.messages import Message
    from oss.contracts.tool import Tool
    from oss.models import Choice
    from oss.plugins.manager import Plugins
    from oss.profile import ResolvedProfile
    from oss.profile.schema import Profile


@dataclass(frozen=True)
class Ingredients:
    """Everything a turn is made with, except the engine itself.

    :param opening: the persona's system message and examples; first in every prompt.
    :param options: complete options of the backend, ``context`` among them.
    :param installed: capabilities of every backend that could be chosen instead, by name.
    """

    resolved: ResolvedProfile
    choice: Choice
    backend: type[Backend]
    capabilities: frozenset[str]
    options: Mapping[str, Any]
    opening: tuple[Message, ...]
    persona: str | None
    sampling: Sampling
    effort: Effort | None
    adapters: tuple[AdapterRef, ...]
    tools: tuple[Tool, ...]
    installed: Mapping[str, frozenset[str]]

    @property
    def profile(self) -> Profile:
        """The resolved profile's values."""
        return self.resolved.profile

    def require(self, needed: Mapping[str, str]) -> None:
        """Check that the backend can do what is asked.

        :param needed: capability to what asks for it, such as ``{"tools": "tools.allow"}``.
        :raises CapabilityError: it cannot; the hint names one that can.
        """
        for capability, asked_by in needed.items():
            if capability in self.capabilities:
                continue
            able = [name for name, has in self.installed.items() if has >= needed.keys()]
            raise CapabilityError(
                f"backend '{self.backend.name}' has no {capability}, which {asked_by} asks for",
                hint=f"'{able[0]}' can: --set backend.name={able[0]}"
                if able
                else "no installed backend can do all of this",
            )


def gather(
    resolved: ResolvedProfile, plugins: Plugins, adapters: Sequence[AdapterRef] = ()
) -> Ingredients:
    """Choose and check everything.

    :param adapters: loaded beside those of the profile; one of the same name replaces it.
    :raises ConfigError: a persona, tool, option or adapter is wrong or absent.
    :raises ModelError: no model of the profile is here and fits.
    :raises BackendError: no backend can open it here.
    :raises CapabilityError: the backend cannot do what the profile asks for.
    """
    from oss.persona import merge_sampling, persona_messages

    profile = resolved.profile
    persona = _persona(profile, plugins)
    choice, descriptor, backend = _model_and_backend(profile, plugins)
    ingredients = Ingredients(
        resolved=resolved,
        choice=choice,
        backend=backend,
        capabilities=descriptor.capabilities,
        options=_options(profile, descriptor),
        opening=tuple(persona_messages(persona, profile.persona.variables)),
        persona=persona.name or None,
        sampling=merge_sampling(profile.sampling, persona.sampling),
        effort=profile.reasoning.effort or persona.effort,
        adapters=_adapters(profile, adapters),
        tools=tuple(plugins.load("tools", name)() for name in profile.tools.allow),
        installed={
            name: offer.descriptor.capabilities
            for name, offer in plugins.offers("backends").items()
        },
    )
    needed = {}
    if ingredients.tools:
        needed["tools"] = "tools.allow"
    if ingredients.adapters:
        needed["adapters"] = f"adapter '{ingredients.adapters[0].name}'"
    ingredients.require(needed)
    return ingredients


def parse_adapter(text: str) -> AdapterRef:
    """The adapter of ``path`` or ``path:scale``.

    :raises ConfigError: there is nothing at the path.
    """
    path, colon, scale = text.rpartition(":")
    if colon and not Path(text).exists():
        try:
            return _adapter(path, None, float(scale))
        except ValueError:
            pass
    return _adapter(text, None, 1.0)


def _adapter(path: str, name: str | None, scale: float) -> AdapterRef:
    real = Path(path).expanduser().absolute()
    if not real.exists():
        raise ConfigError(
            f"adapter {path} does not exist", hint="give a GGUF LoRA file or a PEFT folder"
        )
    return AdapterRef(name or real.stem, real, scale)


def _adapters(profile: Profile, given: Sequence[AdapterRef]) -> tuple[AdapterRef, ...]:
    refs = [_adapter(table.path, table.name, table.scale) for table in profile.adapter]
    by_name = {ref.name: ref for ref in (*refs, *given)}
    return tuple(by_name.values())


def _persona(profile: Profile, plugins: Plugins) -> Persona:
    if profile.persona.system is not None:
        return Persona(name="", system=profile.persona.system)
    if profile.persona.name is None:
        return Persona(name="")
    from oss.persona import find_persona

    return find_persona(profile.persona.name, plugins)


def _options(profile: Profile, descriptor: Descriptor) -> dict[str, Any]:
    from oss.plugins.options import validate

    given = profile.backend.options.get(descriptor.name, {})
    options = validate(descriptor, given, f"backend.{descriptor.name}")
    if "context" not in given:
        options["context"] = profile.model.context
    return options


def _model_and_backend(
    profile: Profile, plugins: Plugins
) -> tuple[Choice, Descriptor, type[Backend]]:
    from oss.models import choose_model

    name = profile.backend.name
    if name != "auto":
        descriptor = plugins.find("backends", name)
        backend: type[Backend] = plugins.load("backends", name)
        if problem := backend.problem():
            raise BackendError(f"backend '{name}' cannot run here: {problem}", hint="oss doctor")
        return choose_model(profile.model, plugins, backend.formats), descriptor, backend
    choice = choose_model(profile.model, plugins)
    obstacles = []
    for name, offer in plugins.offers("backends").items():
        try:
            backend = plugins.load("backends", name)
        except ConfigError as error:
            obstacles.append(f"{name}: {error.message}")
            continue
        if not any(
            choice.model.form(form) or choice.model.format == form for form in backend.formats
        ):
            continue
        if problem := backend.problem():
            obstacles.append(f"{name}: {problem}")
            continue
        return choice, offer.descriptor, backend
    raise BackendError(
        f"no backend can open '{choice.model.name}' ({choice.model.format}) here"
        + "".join(f"; {obstacle}" for obstacle in obstacles),
        hint="pip install 'oss-workbench[starter]'",
    )
