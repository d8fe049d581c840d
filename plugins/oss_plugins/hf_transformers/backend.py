"""Opens Hugging Face folders with transformers."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.backend import Backend
from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.contracts.model import Format, LocalModel


class TransformersBackend(Backend):
    """torch and transformers in this process."""

    name: ClassVar[str] = "transformers"
    formats: ClassVar[tuple[Format, ...]] = ("hf",)

    @classmethod
    def problem(cls) -> str | None:
        """Why this backend cannot run here."""
        missing = [n for n in ("torch", "transformers", "accelerate") if find_spec(n) is None]
        if not missing:
            return None
        return f"'{missing[0]}' is not installed: pip install 'oss-workbench[transformers]'"

    @asynccontextmanager
    async def open(
        self,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> AsyncIterator[Engine]:
        """Load the model; leaving the context frees it."""
        path = model.form("hf")
        if path is None:
            raise ModelError(
                f"model '{model.name}' has no Hugging Face form here",
                hint=f"oss model convert {model.name} --to hf"
                if model.format == "gguf"
                else "transformers opens folders with config.json",
            )
        # Threads that wait must not spin beside other work; read when torch is first imported.
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        from oss_plugins.hf_transformers.engine import TransformersEngine
        from oss_plugins.hf_transformers.loading import load

        loaded = await asyncio.to_thread(load, path, adapters, options)
        engine = TransformersEngine(model.name, loaded, options)
        try:
            yield engine
        finally:
            await asyncio.to_thread(engine.close)
