"""Models: names, sources, headers, memory, what is here.

Names are imported when they are first used: choosing a model needs no code that fetches one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.lazy import importer

if TYPE_CHECKING:
    from oss.models.choose import Choice, choose_model, fetchable
    from oss.models.digest import weights_hash
    from oss.models.facts import ModelFacts, inspect_model
    from oss.models.memory import (
        MachineMemory,
        MemoryNeed,
        estimate_memory,
        fitting_context,
        machine_memory,
    )
    from oss.models.pull import pull_model
    from oss.models.resolve import list_models, resolve_model

__all__ = [
    "Choice",
    "MachineMemory",
    "MemoryNeed",
    "ModelFacts",
    "choose_model",
    "estimate_memory",
    "fetchable",
    "fitting_context",
    "inspect_model",
    "list_models",
    "machine_memory",
    "pull_model",
    "resolve_model",
    "weights_hash",
]

_MODULES = {
    "Choice": "choose",
    "choose_model": "choose",
    "fetchable": "choose",
    "weights_hash": "digest",
    "ModelFacts": "facts",
    "inspect_model": "facts",
    "MachineMemory": "memory",
    "MemoryNeed": "memory",
    "estimate_memory": "memory",
    "fitting_context": "memory",
    "machine_memory": "memory",
    "pull_model": "pull",
    "list_models": "resolve",
    "resolve_model": "resolve",
}

__getattr__ = importer(__name__, _MODULES)
