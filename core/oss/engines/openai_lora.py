"""Adapters on servers that offer each one as a model of its own, as vLLM does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oss.contracts.errors import CapabilityError
from oss.engines.openai_engine import OpenAIEngine
from oss.engines.scales import wanted_scales

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import EngineInfo
    from oss.contracts.chat import ChatRequest
    from oss.engines.abilities import Abilities
    from oss.engines.openai_dialect import ServerModel
    from oss.engines.openai_http import OpenAIClient


class NamedAdapters:
    """The adapters of an engine, found on the server by their names.

    :raises CapabilityError: the server does not offer one of them.
    """

    def __init__(self, adapters: Sequence[AdapterRef], offered: Collection[str], url: str) -> None:
        for adapter in adapters:
            if adapter.name not in offered:
                raise CapabilityError(
                    f"the server at {url} offers no adapter '{adapter.name}'",
                    hint=f"it offers {', '.join(sorted(offered))}"
                    if offered
                    else "start it with the adapter, or use a backend that loads adapters",
                )
        self._adapters = tuple(adapters)

    async def model_for(self, asked: Mapping[str, float]) -> str | None:
        """The server's model name for these scales; ``None`` is the bare model.

        :raises CapabilityError: several at once, or a scale that is not 1.
        """
        acting = wanted_scales(self._adapters, asked)
        if not acting:
            return None
        if len(acting) > 1:
            raise CapabilityError(
                "the server applies one adapter to a request, and "
                f"{len(acting)} are wanted: {', '.join(a.name for a, _ in acting)}",
                hint="set all but one to scale 0, or use backend llamacpp",
            )
        adapter, scale = acting[0]
        return await self.at_scale(adapter, scale)

    async def at_scale(self, adapter: AdapterRef, scale: float) -> str:
        """The server's name for one adapter at one scale.

        :raises CapabilityError: the server has it at another scale only.
        """
        if scale != 1:
            raise CapabilityError(
                f"the server applies adapter '{adapter.name}' at scale 1, not {scale:g}",
                hint="use backend llamacpp or a managed vllm for other scales",
            )
        return adapter.name


class OpenAIAdapterEngine(OpenAIEngine):
    """Chooses the server's model by the adapters that a request asks for."""

    def __init__(
        self,
        info: EngineInfo,
        client: OpenAIClient,
        model: ServerModel,
        abilities: Abilities,
        adapters: NamedAdapters,
    ) -> None:
        super().__init__(info, client, model, abilities)
        self._adapters = adapters

    async def body(self, request: ChatRequest) -> dict[str, Any]:
        """The body, with the adapter's name as the model's."""
        body = await super().body(request)
        body["model"] = await self._adapters.model_for(request.adapter_scales) or body["model"]
        return body
