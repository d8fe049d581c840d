"""Models: names, sources, headers, memory, what is here."""

from __future__ import annotations

from oss.models.choose import Choice, choose_model
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
    "fitting_context",
    "inspect_model",
    "list_models",
    "machine_memory",
    "pull_model",
    "resolve_model",
    "weights_hash",
]
