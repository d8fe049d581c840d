"""Opens models on any server that speaks the OpenAI API."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.backend import Backend, Capability, EngineInfo
from oss.contracts.errors import CapabilityError, ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.contracts.model import Format, LocalModel

ASSUMED_CONTEXT = 4096
"""Tokens, where neither the server nor the profile says: what the smallest defaults have."""


class OpenAIBackend(Backend):
    """A server that someone else started."""

    name: ClassVar[str] = "openai"
    formats: ClassVar[tuple[Format, ...]] = ("remote",)

    @classmethod
    def problem(cls) -> str | None:
        """Why this backend cannot run here."""
        missing = [name for name in ("httpx2", "tenacity") if find_spec(name) is None]
        if not missing:
            return None
        return f"'{missing[0]}' is not installed: pip install 'oss-workbench[openai]'"

    @asynccontextmanager
    async def open(
        self,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> AsyncIterator[Engine]:
        """Ask the server for the model; nothing is loaded here.

        Adapters are those that the server offers under their names, as vLLM does.
        """
        from oss.engines.abilities import Abilities
        from oss.engines.keys import read_key
        from oss.engines.openai_dialect import find_model
        from oss.engines.openai_engine import CAPABILITIES
        from oss.engines.openai_http import OpenAIClient
        from oss.engines.openai_lora import NamedAdapters, OpenAIAdapterEngine

        if model.format != "remote":
            raise CapabilityError(
                f"backend 'openai' opens models on servers, and '{model.name}' is a file",
                hint="name the model as the server does: remote:NAME",
            )
        url = options["url"]
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"backend.openai.url must start with http:// or https://: {url!r}")
        key = read_key(options["key"], "backend.openai.key")
        client = OpenAIClient(url, key=key, timeout=options["timeout"], retries=options["retries"])
        try:
            found = await find_model(client, model.ref.removeprefix("remote:"))
            context = options["context"] or found.context or ASSUMED_CONTEXT
            if found.context:
                context = min(context, found.context)
            capabilities = set(CAPABILITIES)
            if found.adapters:
                capabilities |= {Capability.ADAPTERS, Capability.PER_REQUEST_ADAPTERS}
            info = EngineInfo(
                "openai",
                model.name,
                context,
                frozenset(capabilities),
                {
                    "url": url,
                    "server": found.kind,
                    "model": found.name,
                    "tokens": "estimated" if found.kind == "other" else "counted by the server",
                    "context": "assumed; set model.context"
                    if context == ASSUMED_CONTEXT and not found.context and not options["context"]
                    else "known",
                },
            )
            yield OpenAIAdapterEngine(
                info,
                client,
                found,
                Abilities.of(url, found.name),
                NamedAdapters(adapters, found.adapters, url),
            )
        finally:
            await client.aclose()
