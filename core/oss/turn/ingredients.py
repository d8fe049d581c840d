"""What a profile stands for on this machine: the model, the engine, and the rest of the turn.

Nothing is loaded here: what cannot work is refused before the model is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import BackendError, CapabilityError, ConfigError
from oss.contracts.persona import Persona
from oss.turn.warm import lent_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Backend
    from oss.contracts.chat import Effort, Sampling
    from oss.contracts.descriptors import Descriptor
    from oss.contracts.messages import Message
    from oss.contracts.model import Format, LocalModel
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
    :param collections: the persona's own documents.
    """

    resolved: ResolvedProfile
    choice: Choice
    backend_name: str
    backend: type[Backend]
    capabilities: frozenset[str]
    options: Mapping[str, Any]
    opening: tuple[Message, ...]
    persona: str | None
    sampling: Sampling
    effort: Effort | None
    adapters: tuple[AdapterRef, ...]
    tools: tuple[Tool, ...]
    collections: tuple[str, ...] = ()

    @property
    def profile(self) -> Profile:
        """The resolved profile's values."""
        return self.resolved.profile

    def same_engine(self, other: Ingredients) -> bool:
        """Whether an engine opened for the one serves the other."""
        return (self.choice.model, self.backend, self.options, self.adapters) == (
            other.choice.model,
            other.backend,
            other.options,
            other.adapters,
        )

    def require(self, needed: Mapping[str, str], plugins: Plugins) -> None:
        """Check that the backend can do what is asked.

        :param needed: capability to what asks for it, such as ``{"tools": "tools.allow"}``.
        :raises CapabilityError: it cannot; the hint names one that can.
        """
        for capability, asked_by in needed.items():
            if capability in self.capabilities:
                continue
            able = next(_backends_for(self.choice.model, plugins, needed.keys()), None)
            raise CapabilityError(
                f"backend '{self.backend_name}' has no {capability}, which {asked_by} asks for",
                hint=f"'{able}' can: --set backend.name={able}"
                if able
                else "no other backend that is installed can, with this model",
            )


def gather(
    resolved: ResolvedProfile,
    plugins: Plugins,
    adapters: Sequence[AdapterRef] = (),
    lent: Callable[[], int] = lent_memory,
) -> Ingredients:
    """Choose and check everything.

    :param adapters: loaded beside those of the profile; one of the same name replaces it.
    :param lent: bytes of memory that engines hold and give back when another one needs them:
        those of the background server, where there is one.
    :raises ConfigError: a persona, tool, option or adapter is wrong or absent.
    :raises ModelError: no model of the profile is here and fits.
    :raises BackendError: no backend can open it here.
    :raises CapabilityError: the backend cannot do what the profile asks for.
    """
    from oss.persona import merge_sampling, persona_messages

    profile = resolved.profile
    persona = _persona(profile, plugins)
    choice, descriptor, backend = _model_and_backend(profile, plugins, lent)
    ingredients = Ingredients(
        resolved=resolved,
        choice=choice,
        backend_name=descriptor.name,
        backend=backend,
        capabilities=descriptor.capabilities,
        options=_options(profile, descriptor),
        opening=tuple(persona_messages(persona, profile.persona.variables)),
        persona=persona.name or None,
        sampling=merge_sampling(profile.sampling, persona.sampling),
        effort=profile.reasoning.effort or persona.effort,
        adapters=_adapters(profile, adapters, backend.formats, choice.model),
        tools=tuple(plugins.load("tools", name)() for name in profile.tools.allow),
        collections=persona.collections,
    )
    needed = {}
    if ingredients.tools:
        needed["tools"] = "tools.allow"
    if ingredients.adapters:
        needed["adapters"] = f"adapter '{ingredients.adapters[0].name}'"
    ingredients.require(needed, plugins)
    return ingredients


def parse_adapter(text: str) -> AdapterRef:
    """The adapter of ``path`` or ``path:scale``; a name will do for a path.

    :raises ConfigError: there is no such adapter.
    """
    from oss.adapters import locate

    path, colon, scale = text.rpartition(":")
    if colon and not Path(text).exists():
        try:
            return locate(path, None, float(scale))
        except ValueError:
            pass
    return locate(text)


def _adapters(
    profile: Profile, given: Sequence[AdapterRef], formats: Sequence[Format], model: LocalModel
) -> tuple[AdapterRef, ...]:
    """Those of the profile and those given, in the form that the backend opens."""
    if not profile.adapter and not given:
        return ()
    from oss.adapters import check_for, locate, shown_to

    refs = [locate(table.path, table.name, table.scale) for table in profile.adapter]
    by_name = {ref.name: ref for ref in (*refs, *given)}
    for ref in by_name.values():
        check_for(ref, model)
    return tuple(shown_to(ref, formats) for ref in by_name.values())


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
    profile: Profile, plugins: Plugins, lent: Callable[[], int]
) -> tuple[Choice, Descriptor, type[Backend]]:
    from oss.models import choose_model

    name = profile.backend.name
    if name != "auto":
        descriptor = plugins.find("backends", name)
        backend: type[Backend] = plugins.load("backends", name)
        if problem := backend.problem_with(profile.backend.options.get(name, {})):
            raise BackendError(f"backend '{name}' cannot run here: {problem}", hint="oss doctor")
        return choose_model(profile.model, plugins, backend.formats, lent), descriptor, backend
    choice = choose_model(profile.model, plugins, lent=lent)
    obstacles: list[str] = []
    for name in _backends_for(choice.model, plugins, (), obstacles):
        return choice, plugins.find("backends", name), plugins.load("backends", name)
    raise BackendError(
        f"no backend can open '{choice.model.name}' ({choice.model.format}) here"
        + "".join(f"; {obstacle}" for obstacle in obstacles),
        hint="pip install 'oss-workbench[starter]'; oss doctor says more",
    )


def _backends_for(
    model: LocalModel,
    plugins: Plugins,
    capabilities: Collection[str],
    obstacles: list[str] | None = None,
) -> Iterator[str]:
    """Names of backends that can open the model here and have the capabilities, in order.

    :param obstacles: is told why others that open this form of a model cannot run.
    """
    obstacles = [] if obstacles is None else obstacles
    for name, offer in plugins.offers("backends").items():
        if not offer.descriptor.capabilities >= {*capabilities}:
            continue
        try:
            backend: type[Backend] = plugins.load("backends", name)
        except ConfigError as error:
            obstacles.append(f"{name}: {error.message}")
            continue
        if not any(form == model.format or form in model.forms for form in backend.formats):
            continue
        if problem := backend.problem():
            obstacles.append(f"{name}: {problem}")
            continue
        yield name
