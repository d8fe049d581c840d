"""Opens GGUF models with whichever binding of llama.cpp is wanted and installed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.backend import Backend
from oss.contracts.errors import CapabilityError, ModelError
from oss.models.files import gguf_parts
from oss_plugins.llamacpp.adapters import check_effect, check_headers
from oss_plugins.llamacpp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

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
        check_headers(path, adapters)
        context = fitted(path, model.name, options["context"])
        settings = Settings.of({**options, "context": context})
        settings = replace(settings, contexts=contexts_of(path, settings))
        from oss_plugins.llamacpp.page_cache import read_ahead  # brings asyncio

        await read_ahead(gguf_parts(path))
        engine = await _load(binding, replace(model, path=path), adapters, settings)
        try:
            await check_effect(engine, adapters)
            engine.forget_scales()
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


def fitted(path: Path, name: str, context: int) -> int:
    """The context to open with; 0 becomes as large as the model was trained for and memory
    allows.

    :raises ModelError: no GGUF file, cut short, or more than this machine has memory for.
    """
    from oss.models import inspect_model
    from oss.models.memory import GIB, estimate_memory, fitting_context, machine_memory

    facts = inspect_model(path)
    need = estimate_memory(facts, context)
    memory = machine_memory(gpu=False)
    if need.total > memory.available:  # asking about GPUs takes longer than all else here
        memory = machine_memory()
    if context == 0 and (largest := fitting_context(facts, memory)):
        return largest
    if memory.total and need.total > memory.total + memory.gpu_total:
        raise ModelError(
            f"'{name}' needs {need.total / GIB:.1f} GiB of memory for a context of "
            f"{need.context} tokens; this machine has "
            f"{(memory.total + memory.gpu_total) / GIB:.1f} GiB",
            hint="a smaller context, or a smaller or more strongly quantised model",
        )
    return context


def contexts_of(path: Path, settings: Settings) -> str:
    """What ``auto`` comes to: ``separate`` where a quarter of the free memory holds a context for
    each slot, with the model.
    """
    from oss.models import inspect_model
    from oss.models.memory import estimate_memory, machine_memory

    if settings.contexts != "auto":
        return settings.contexts
    need = estimate_memory(inspect_model(path), settings.context)
    memory = machine_memory(gpu=settings.gpu_layers != 0)
    room = (memory.gpu_available or memory.available) // 4
    whole = need.total + need.kv_cache * (settings.slots - 1)
    return "separate" if whole <= room and need.context == settings.context else "shared"


async def _load(
    binding: str, model: LocalModel, adapters: Sequence[AdapterRef], settings: Settings
) -> LlamaCppEngine:
    if binding == "xllamacpp":
        from oss_plugins.llamacpp.xllama import XllamaEngine

        return await XllamaEngine.load(model, adapters, settings)
    if settings.cpu_moe_layers:
        raise CapabilityError(
            "llama-cpp-python cannot keep experts in main memory (cpu_moe_layers)",
            hint='binding = "xllamacpp" can',
        )
    from oss_plugins.llamacpp.llama_python import LlamaPythonEngine

    return await LlamaPythonEngine.load(model, adapters, settings)
