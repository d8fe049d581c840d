"""Opens GGUF models with whichever binding of llama.cpp is wanted and installed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.backend import Backend
from oss.contracts.errors import CapabilityError, ModelError
from oss_plugins.llamacpp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.contracts.model import Format, LocalModel
    from oss_plugins.llamacpp.engine import LlamaCppEngine

BINDINGS = {"xllamacpp": "xllamacpp", "llama-cpp-python": "llama_cpp"}
"""Binding to the module it is imported as, best first."""

EXTRAS = {"xllamacpp": "starter", "llama-cpp-python": "llama-cpp-python"}


class LlamaCppBackend(Backend):
    """llama.cpp in this process."""

    name: ClassVar[str] = "llamacpp"
    formats: ClassVar[tuple[Format, ...]] = ("gguf",)

    @classmethod
    def problem(cls) -> str | None:
        """Why this backend cannot run here."""
        if any(find_spec(module) for module in BINDINGS.values()):
            return None
        return "no binding of llama.cpp is installed: pip install 'oss-workbench[starter]'"

    @asynccontextmanager
    async def open(
        self,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> AsyncIterator[Engine]:
        """Load the model; leaving the context frees it."""
        binding = choose_binding(options["binding"])
        path = model.form("gguf")
        if path is None:
            raise ModelError(
                f"model '{model.name}' has no GGUF file", hint="llamacpp opens GGUF files alone"
            )
        engine = await _load(binding, model, adapters, Settings.of(options))
        try:
            yield engine
        finally:
            await engine.close()


def choose_binding(wanted: str) -> str:
    """The binding to use; ``auto`` is the first that is installed.

    :raises CapabilityError: it is not installed.
    """
    names = BINDINGS if wanted == "auto" else (wanted,)
    for name in names:
        if find_spec(BINDINGS[name]):
            return name
    missing = next(iter(names))
    raise CapabilityError(
        f"the binding '{missing}' of llama.cpp is not installed",
        hint=f"pip install 'oss-workbench[{EXTRAS[missing]}]'",
    )


async def _load(
    binding: str, model: LocalModel, adapters: Sequence[AdapterRef], settings: Settings
) -> LlamaCppEngine:
    if binding == "xllamacpp":
        from oss_plugins.llamacpp.xllama import XllamaEngine

        return await XllamaEngine.load(model, adapters, settings)
    from oss_plugins.llamacpp.llama_python import LlamaPythonEngine

    return await LlamaPythonEngine.load(model, adapters, settings)
