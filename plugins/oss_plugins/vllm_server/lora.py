"""Adapters on a server of our own: loaded at its start, and at other scales when asked for."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import BackendError
from oss.engines.openai_lora import NamedAdapters
from oss_plugins.vllm_server.flags import adapter_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.engines.openai_http import OpenAIClient

_PROBE = "The quick brown fox jumps over the lazy dog."


class ManagedAdapters(NamedAdapters):
    """vLLM applies an adapter as trained. At another scale it gets a copy whose configuration
    has another ``lora_alpha``, with the same weights.

    :param never_bare: requests without an adapter get one at scale 0. On a CPU, vLLM gives a
        request without an adapter the last one loaded when others of its batch have adapters
        (https://github.com/vllm-project/vllm/pull/48421).
    """

    def __init__(
        self, adapters: Sequence[AdapterRef], client: OpenAIClient, *, never_bare: bool
    ) -> None:
        super().__init__(adapters, {adapter.name for adapter in adapters}, client.url)
        self._client = client
        self._never_bare = never_bare
        self._copies = Path(tempfile.mkdtemp(prefix="oss-lora-"))
        self._loaded: set[str] = set()
        self._lock = asyncio.Lock()

    def close(self) -> None:
        """Remove the copies."""
        shutil.rmtree(self._copies, ignore_errors=True)

    async def model_for(self, asked: Mapping[str, float]) -> str | None:
        """As for any server, except that none may stand for the first adapter at 0."""
        found = await super().model_for(asked)
        if found is None and self._never_bare and self._adapters:
            return await self.at_scale(self._adapters[0], 0.0)
        return found

    async def at_scale(self, adapter: AdapterRef, scale: float) -> str:
        """The server's name for the adapter at a scale; loads it there at first."""
        if scale == 1:
            return adapter.name
        name = f"{adapter.name}@{scale:g}"
        async with self._lock:
            if name not in self._loaded:
                copy = self._copy(adapter, scale)
                await self._client.tell(
                    "load_lora_adapter", {"lora_name": name, "lora_path": str(copy)}
                )
                self._loaded.add(name)
        return name

    async def check(self, model: str) -> None:
        """Refuse an adapter that leaves every log-probability of a text as it was.

        :raises BackendError: it does.
        """
        base = await self._logprobs(model)
        for adapter in self._adapters:
            if await self._logprobs(adapter.name) == base:
                raise BackendError(
                    f"adapter '{adapter.name}' changes nothing in this model",
                    hint="was it trained, and for this model?",
                )

    def _copy(self, adapter: AdapterRef, scale: float) -> Path:
        copy = self._copies / str(len(self._loaded))
        copy.mkdir(exist_ok=True)
        config = adapter_config(adapter)
        config["lora_alpha"] = config.get("lora_alpha", 8) * scale
        config["alpha_pattern"] = {
            name: alpha * scale for name, alpha in (config.get("alpha_pattern") or {}).items()
        }
        (copy / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
        weights = copy / "adapter_model.safetensors"
        if not weights.exists():
            weights.symlink_to((adapter.path / weights.name).resolve())
        return copy

    async def _logprobs(self, model: str) -> list[float | None]:
        answer = await self._client.post(
            "completions",
            {"model": model, "prompt": _PROBE, "max_tokens": 1, "echo": True, "logprobs": 1},
        )
        found: list[float | None] = answer["choices"][0]["logprobs"]["token_logprobs"][:-1]
        return found
