"""Opens models with vLLM: on a server of one's own, or on one that runs already."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from oss.contracts.backend import Backend, Capability, EngineInfo
from oss.contracts.errors import CapabilityError, ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.contracts.model import Format, LocalModel


class VllmBackend(Backend):
    """vLLM, managed or connected."""

    name: ClassVar[str] = "vllm"
    formats: ClassVar[tuple[Format, ...]] = ("hf", "remote")

    @classmethod
    def problem(cls) -> str | None:
        """Why this backend cannot start a server here."""
        if missing := _missing():
            return missing
        if find_spec("vllm") is None and not os.environ.get("OSS_VLLM_PYTHON"):
            return (
                "vLLM is not installed: pip install 'oss-workbench[vllm]', or name the "
                "interpreter that has it (backend.vllm.python, OSS_VLLM_PYTHON)"
            )
        return None

    @classmethod
    def problem_with(cls, options: Mapping[str, Any]) -> str | None:
        """A server elsewhere, or another interpreter, needs no vLLM here."""
        if options.get("url") or options.get("python"):
            return _missing()
        return cls.problem()

    @asynccontextmanager
    async def open(
        self,
        model: LocalModel,
        adapters: Sequence[AdapterRef],
        options: Mapping[str, Any],
    ) -> AsyncIterator[Engine]:
        """Connect to the server at ``url``, or start one; leaving the context stops ours."""
        opened = _connected if options["url"] else _managed
        async with opened(model, adapters, options) as engine:
            yield engine


def _missing() -> str | None:
    missing = [name for name in ("httpx2", "tenacity") if find_spec(name) is None]
    return (
        f"'{missing[0]}' is not installed: pip install 'oss-workbench[openai]'" if missing else None
    )


_CAPABILITIES = frozenset(
    {
        Capability.TOOLS,
        Capability.JSON_SCHEMA,
        Capability.LOGPROBS,
        Capability.REASONING,
        Capability.BATCHING,
    }
)
_WITH_ADAPTERS = frozenset({Capability.ADAPTERS, Capability.PER_REQUEST_ADAPTERS})


@asynccontextmanager
async def _connected(
    model: LocalModel, adapters: Sequence[AdapterRef], options: Mapping[str, Any]
) -> AsyncIterator[Engine]:
    from oss.engines.abilities import Abilities
    from oss.engines.keys import read_key
    from oss.engines.openai_dialect import find_model
    from oss.engines.openai_http import OpenAIClient
    from oss.engines.openai_lora import NamedAdapters, OpenAIAdapterEngine

    if model.format != "remote":
        raise CapabilityError(
            f"the server at {options['url']} has its own models, and '{model.name}' is a file",
            hint="name the model as the server does: remote:NAME",
        )
    client = OpenAIClient(
        options["url"],
        key=read_key(options["key"], "backend.vllm.key"),
        timeout=options["timeout"],
        retries=options["retries"],
    )
    try:
        found = await find_model(client, model.ref.removeprefix("remote:"))
        context = min(options["context"] or found.context, found.context or options["context"])
        info = EngineInfo(
            "vllm",
            model.name,
            context,
            _CAPABILITIES | (_WITH_ADAPTERS if found.adapters else frozenset()),
            {"url": options["url"], "server": found.kind, "model": found.name},
        )
        yield OpenAIAdapterEngine(
            info,
            client,
            found,
            Abilities.of(options["url"], found.name),
            NamedAdapters(adapters, found.adapters, options["url"]),
        )
    finally:
        await client.aclose()


@asynccontextmanager
async def _managed(
    model: LocalModel, adapters: Sequence[AdapterRef], options: Mapping[str, Any]
) -> AsyncIterator[Engine]:
    from oss_plugins.vllm_server.engine import ManagedEngine
    from oss_plugins.vllm_server.families import family_of
    from oss_plugins.vllm_server.flags import server_flags, tool_parser
    from oss_plugins.vllm_server.process import ManagedServer, interpreter

    path = model.form("hf")
    if path is None:
        raise ModelError(
            f"model '{model.name}' has no Hugging Face form here",
            hint=f"oss model convert {model.name} --to hf"
            if model.format == "gguf"
            else "set backend.vllm.url to the server that has it",
        )
    family = family_of(path)
    flags = server_flags(path, model.name, options, family, adapters)
    server = ManagedServer(interpreter(options["python"]), flags, options["start_timeout"])
    capabilities = _CAPABILITIES | (_WITH_ADAPTERS if adapters else frozenset())
    engine = ManagedEngine(
        EngineInfo("vllm", model.name, options["context"], capabilities),
        server,
        adapters,
        options,
        native_tools=bool(tool_parser(options, family)),
    )
    try:
        await engine.start()
        yield engine
    finally:
        await engine.aclose()
