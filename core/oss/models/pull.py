"""Fetching a model by any name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError, NetworkError
from oss.models.catalogue import load_catalogue
from oss.models.digest import ChecksumError
from oss.models.refs import split_ref
from oss.models.resolve import expand_ref, source_for

if TYPE_CHECKING:
    from oss.contracts.model import LocalModel, Progress
    from oss.plugins.manager import Plugins


def pull_model(ref: str, plugins: Plugins, progress: Progress) -> LocalModel:
    """Fetch what a short name, a path or ``scheme:rest`` means; at once when it is here.

    A short name with several references takes the first that can be had: one that is on this
    machine, else one that can be fetched.

    :raises ModelError: unknown, not there, or another file than the catalogue's checksum says.
    :raises NetworkError: nothing could be fetched; what arrived is kept.
    :raises StorageError: no room.
    :raises BusyError: another process is at it.
    """
    name, refs = expand_ref(ref, plugins)
    entry = load_catalogue(plugins).get(ref)
    pins = entry.sha256 if entry else {}
    parts = [p for full in refs if (p := split_ref(full, plugins.offers("model_sources")))]
    for scheme, rest in parts:
        if found := source_for(scheme, plugins).find(rest):
            return dataclasses.replace(found, name=name)
    first: ModelError | NetworkError | None = None
    for scheme, rest in parts:
        try:
            source = source_for(scheme, plugins)
            model = source.pull(rest, progress, sha256=pins.get(f"{scheme}:{rest}"))
        except ChecksumError:
            raise  # somebody changed a file: not to be passed over in silence
        except (ModelError, NetworkError) as error:
            first = first or error
            continue
        return dataclasses.replace(model, name=name)
    raise first or ModelError(f"'{name}' has no usable reference")
