"""What gpt-oss writes in the wild becomes a clean answer or a clear error, never a 500."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.chat import Delta, Usage
from oss.engines.calling import CallingEngine
from oss.engines.harmony import HarmonyParser
from oss.testing import fakes
from support.harmony import CORPUS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oss.contracts.chat import ChatRequest

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CHAT = "/v1/chat/completions"
CALL = "<|channel|>commentary to=functions."
BROKEN = {
    "arguments that are cut off": f'{CALL}get_weather<|message|>{{"ci',
    "arguments that are no object": f"{CALL}get_weather<|message|>[1]<|call|>",
    "a tool that there is not": f"{CALL}nothing<|message|>{{}}<|call|>",
    "a name that leaks": "<|channel|>commentary to=get_weather<|channel|>json<|message|>{}<|call|>",
    "nothing at all": "",
    "markers alone": "<|start|><|end|><|call|><|return|><|message|>",
}


class Harmony(CallingEngine):
    """Parses one raw answer; asked again for a broken call, it gives an empty object."""

    native_tools = True
    raw = ""

    def __init__(self, info: Any, script: Any, adapters: Any = ()) -> None:
        self.info = info

    async def _generate(self, request: ChatRequest, call: Any) -> AsyncGenerator[Delta, None]:
        if request.json_schema is not None:
            yield Delta('{"tool_call": {"name": "get_weather", "arguments": {}}}')
        else:
            parser = HarmonyParser()
            for at in range(0, len(self.raw), 3):
                for delta in parser.feed(self.raw[at : at + 3]):
                    yield delta
            for delta in parser.finish():
                yield delta
        yield Delta(finish_reason="stop", usage=Usage(5, 5))

    async def count_tokens(self, messages: Any, tools: Any = ()) -> int:
        return 5


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("what", [*CORPUS, *BROKEN])
def test_a_trap(live: Any, monkeypatch: pytest.MonkeyPatch, what: str, stream: bool) -> None:
    monkeypatch.setattr(fakes, "FakeEngine", Harmony)
    raw, thinking, text, calls = CORPUS.get(what) or (BROKEN[what], None, None, None)
    monkeypatch.setattr(Harmony, "raw", raw)
    body = {
        "model": "mine",
        "messages": [{"role": "user", "content": "Погода?"}],
        "tools": [TOOL],
    }
    if stream:
        message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
        for chunk in live.events(CHAT, body)[:-1]:
            delta = chunk["choices"][0]["delta"]
            for key, value in delta.items():
                if key in message and value:
                    message[key] += value
            finish = chunk["choices"][0]["finish_reason"]
    else:
        status, found = live.post(CHAT, body)
        assert status == 200, found
        message = found["choices"][0]["message"]
        finish = found["choices"][0]["finish_reason"]
    given = message.get("tool_calls") or []
    assert finish == ("tool_calls" if given else "stop")
    for call in given:
        assert call["function"]["name"] == "get_weather"
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
    said = (message["content"] or "") + (message.get("reasoning_content") or "")
    if what in BROKEN:
        assert "<|" not in said
    elif all(name == "get_weather" for name, _ in calls):
        assert (message["content"] or "") == text
        assert (message.get("reasoning_content") or "") == thinking
        assert len(given) == len(calls)
