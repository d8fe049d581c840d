"""The models of the server: profiles, and profiles with a further adapter."""

from __future__ import annotations

import contextlib
import difflib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oss.contracts.errors import OssError
from oss.turn.session import Session
from oss.turn.spec import spec_of
from oss.turn.summary import SummariesInMemory
from oss_plugins.serve.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from oss.contracts.adapter import AdapterRef
    from oss.plugins.manager import Plugins
    from oss.profile import FoundProfile
    from oss.turn.ingredients import Ingredients
    from oss.turn.spec import EngineSpec


@dataclass
class Served:
    """A model of the server.

    :ivar session: never opens an engine itself; requests bring one.
    :ivar stamp: state of the files that it was made from.
    """

    name: str
    session: Session
    spec: EngineSpec
    stamp: tuple[tuple[str, int], ...]
    created: int


class Catalogue:
    """Finds models by name. A profile is read again when one of its files has changed.

    :param only: names of profiles; empty: all.
    :param parallel: how many requests run at once.
    :param held: bytes of memory that the server's engines take: what does not fit beside them
        fits when they go.
    :ivar version: goes up when a model is made or made anew.
    """

    def __init__(
        self,
        plugins: Plugins,
        only: tuple[str, ...] = (),
        parallel: int = 1,
        held: Callable[[], int] = lambda: 0,
    ) -> None:
        self._plugins = plugins
        self._only = only
        self._parallel = parallel
        self._held = held
        self._served: dict[str, Served] = {}
        self.version = 0

    def profiles(self) -> list[FoundProfile]:
        """The profiles to serve, by name."""
        from oss.profile import find_profile, list_profiles

        if self._only:
            return [find_profile(name) for name in self._only]
        return list_profiles()

    def names(self) -> dict[str, str | None]:
        """Models that work here, each with the model that it is a variant of."""
        found: dict[str, str | None] = {}
        for profile in self.profiles():
            with contextlib.suppress(OssError, ApiError):
                served = self.find(profile.name)
                found[profile.name] = None
                for ref in self._adapters(served):
                    found[f"{profile.name}:{ref.name}"] = profile.name
        return found

    def specs(self) -> list[EngineSpec]:
        """The engines of all models that were looked at."""
        return [served.spec for served in self._served.values()]

    def problems(self) -> Iterator[tuple[str, OssError]]:
        """Profiles that do not work here, and why."""
        for profile in self.profiles():
            try:
                self.find(profile.name)
            except OssError as error:
                yield profile.name, error

    def find(self, name: str) -> Served:
        """The model of a name.

        :raises ApiError: there is none.
        :raises OssError: its profile does not work here.
        """
        known = self._served.get(name)
        if known is not None and known.stamp == _stamp(file for file, _ in known.stamp):
            return known
        base, _, adapter = name.partition(":")
        profiles = {profile.name: profile for profile in self.profiles()}
        if base not in profiles:
            near = difflib.get_close_matches(name, profiles, 1)
            raise ApiError(
                404,
                f"there is no model '{name}'; "
                + (f"did you mean '{near[0]}'?" if near else f"models: {', '.join(profiles)}"),
                code="model_not_found",
                param="model",
            )
        served = self._make(name, profiles[base], adapter)
        self._served[name] = served
        self.version += 1
        return served

    def _make(self, name: str, profile: FoundProfile, adapter: str) -> Served:
        from oss.profile import resolve_profile
        from oss.turn.ingredients import gather

        given = self._only_name(profile)
        resolved = resolve_profile(given, plugins=self._plugins)
        made = gather(resolved, self._plugins, lent=self._held)
        if adapter:
            refs = {ref.name: ref for ref in self._fitting(made)}
            if adapter not in refs:
                raise ApiError(
                    404,
                    f"profile '{profile.name}' has no adapter '{adapter}'; "
                    f"adapters: {', '.join(refs) or 'none'}",
                    code="model_not_found",
                    param="model",
                )
            ref = replace(refs[adapter], scale=1.0)
            made = gather(resolved, self._plugins, [ref], self._held)
        made = self._with_slots(made)
        session = Session(made, self._plugins, summaries=_Bounded())
        files = [str(path) for path in resolved.files]
        return Served(name, session, spec_of(made), _stamp(files), int(time.time()))

    def _with_slots(self, made: Ingredients) -> Ingredients:
        """Engines with slots get one for each request that may run, with a context of its own
        where memory has room, unless the profile says otherwise: a request without a slot would
        wait for the whole answer of another.
        """
        given = made.profile.backend.options.get(made.backend_name, {})
        wanted = {"contexts": "auto", "slots": max(made.options.get("slots", 1), self._parallel)}
        new = {key: v for key, v in wanted.items() if key in made.options and key not in given}
        return replace(made, options={**made.options, **new})

    def _only_name(self, profile: FoundProfile) -> str:
        return str(profile.path) if profile.place == "path" else profile.name

    def _adapters(self, served: Served) -> list[AdapterRef]:
        return self._fitting(served.session.ingredients)

    def _fitting(self, made: Ingredients) -> list[AdapterRef]:
        """The profile's own adapters and those on this machine that were made for its model."""
        from oss.adapters import list_adapters, locate, shown_to

        if "adapters" not in made.capabilities:
            return []
        found = {ref.name: ref for ref in made.adapters}
        for adapter in list_adapters():
            bases = {adapter.card.base.name, adapter.card.base.ref}
            if adapter.name in found or not bases & {made.choice.model.name, made.choice.model.ref}:
                continue
            with contextlib.suppress(OssError):
                found[adapter.name] = shown_to(locate(adapter.name), made.backend.formats)
        return list(found.values())


class _Bounded(SummariesInMemory):
    """Summaries of conversations of a server that runs for months."""

    def put(self, digest: str, text: str) -> None:
        super().put(digest, text)
        while len(self.texts) > 256:
            del self.texts[next(iter(self.texts))]


def _stamp(files: Iterable[str]) -> tuple[tuple[str, int], ...]:
    import os

    found = []
    for file in files:
        try:
            found.append((file, os.stat(file).st_mtime_ns))  # noqa: PTH116  often, and many
        except OSError:
            found.append((file, 0))
    return tuple(found)
