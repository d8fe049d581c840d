"""What kind of server answers behind an OpenAI-compatible url, and what it says of itself.

The API has no word for the context, for counting tokens, or for several settings; servers have
their own. The kind is read from ``owned_by`` in ``/v1/models``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from oss.contracts.errors import BackendError, ModelError
from oss.engines.openai_http import ServerRefusedError

if TYPE_CHECKING:
    from oss.engines.openai_http import OpenAIClient

Kind = Literal["vllm", "llama-server", "other"]
_KINDS: dict[str, Kind] = {"vllm": "vllm", "llamacpp": "llama-server"}


@dataclass(frozen=True)
class ServerModel:
    """A model as its server describes it.

    :param context: tokens; 0 where the server does not say.
    :param adapters: names of adapters that the server offers as models of their own.
    """

    name: str
    kind: Kind
    context: int = 0
    adapters: frozenset[str] = frozenset()


async def find_model(client: OpenAIClient, name: str) -> ServerModel:
    """Ask the server for the model; an empty name is the only one that it has.

    A server without ``/v1/models`` is believed to have the model.

    :raises ModelError: the server has no such model, or several and none is named.
    :raises BackendError: the server does not answer.
    """
    try:
        listed = await client.get("models")
    except ServerRefusedError as error:
        if error.status in (404, 405, 501) and name:
            return ServerModel(name, "other")
        raise
    entries = _entries(listed, client.url)
    if not name:
        bases = [model for model, entry in entries.items() if not entry.get("parent")]
        if len(bases) != 1:
            raise ModelError(
                f"the server at {client.url} has {len(bases)} models, and none is named",
                hint=f"write remote:NAME; it has {_names(bases)}",
            )
        name = bases[0]
    if name not in entries:
        near = difflib.get_close_matches(name, entries, 1) or [
            known for known in entries if known.partition(":")[0] == name
        ]
        raise ModelError(
            f"the server at {client.url} has no model '{name}'",
            hint=f"did you mean '{near[0]}'?" if near else f"it has {_names(entries)}",
        )
    entry = entries[name]
    kind = _KINDS.get(str(entry.get("owned_by")), "other")
    return ServerModel(
        name,
        kind,
        await _context(client, kind, entry),
        frozenset(model for model, other in entries.items() if other.get("parent") == name),
    )


async def count_tokens(
    client: OpenAIClient,
    model: ServerModel,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]],
) -> int | None:
    """Tokens of the prompt by the server's own template and tokenizer; ``None`` if it cannot say.

    :raises BackendError: the server does not answer.
    """
    body: dict[str, Any] = {"messages": messages, "add_generation_prompt": True}
    if tools:
        body["tools"] = tools
    if model.kind == "vllm":
        answer = await client.post("//tokenize", {"model": model.name, **body})
        return int(answer["count"])
    if model.kind == "llama-server":
        answer = await client.post("chat/completions/input_tokens", body)
        return int(answer["input_tokens"])
    return None


async def _context(client: OpenAIClient, kind: Kind, entry: Mapping[str, Any]) -> int:
    found = entry.get("max_model_len") or entry.get("context_length") or 0
    if kind == "llama-server":
        try:
            props = await client.get("//props")
            found = props["default_generation_settings"]["n_ctx"]
        except (ServerRefusedError, KeyError, TypeError):
            found = 0
    return found if isinstance(found, int) else 0


def _entries(listed: Any, url: str) -> dict[str, Mapping[str, Any]]:
    data = listed.get("data") if isinstance(listed, Mapping) else None
    if not isinstance(data, list):
        raise BackendError(
            f"{url} does not speak the OpenAI API: its list of models has no 'data'",
            hint="the url of such a server often ends in /v1",
        )
    return {
        str(entry["id"]): entry for entry in data if isinstance(entry, Mapping) and "id" in entry
    }


def _names(found: Mapping[str, Any] | list[str]) -> str:
    names = sorted(found)
    return (", ".join(names[:8]) + (", …" if len(names) > 8 else "")) or "none"
