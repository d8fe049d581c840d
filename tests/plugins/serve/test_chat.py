from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import BackendError, ContextOverflowError
from oss.contracts.messages import ToolCall
from oss.testing.fakes import FakeAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "says the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CHAT = "/v1/chat/completions"


def ask(*messages: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {"model": "mine", "messages": list(messages), **extra}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_an_answer(live: Any) -> None:
    live.script.append(FakeAnswer("Привет, мир", reasoning="hm"))
    status, found = live.chat()
    assert status == 200
    assert found["object"] == "chat.completion"
    assert found["model"] == "mine"
    message = found["choices"][0]["message"]
    assert message["content"] == "Привет, мир"
    assert message["reasoning_content"] == "hm"
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["usage"]["completion_tokens"] == 3
    assert found["usage"]["total_tokens"] == found["usage"]["prompt_tokens"] + 3


def test_the_persona_comes_first_and_the_clients_system_text_after(live: Any) -> None:
    body = ask(
        {"role": "system", "content": "You are Bob."},
        user("one"),
        {"role": "assistant", "content": "two"},
        {"role": "developer", "content": "Be short."},
        user("three"),
    )
    assert live.post(CHAT, body)[0] == 200
    sent = live.engines[0].requests[0].messages
    assert [(m.role, m.content) for m in sent] == [
        ("system", "Be kind.\n\nYou are Bob.\n\nBe short."),
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]


def test_settings_of_the_request_win(live: Any) -> None:
    live.chat(
        temperature=0.1,
        top_p=0.5,
        seed=7,
        max_completion_tokens=9,
        stop="x",
        presence_penalty=1,
        reasoning_effort="low",
        top_k=3,
    )
    sent = live.engines[0].requests[0]
    assert sent.sampling.temperature == 0.1
    assert sent.sampling.top_p == 0.5
    assert sent.sampling.seed == 7
    assert sent.sampling.max_tokens == 9
    assert sent.sampling.stop == ("x",)
    assert sent.sampling.top_k == 3
    assert sent.effort == "low"


def test_a_stream(live: Any) -> None:
    live.script.append(FakeAnswer("раз два три", reasoning="думаю"))
    body = ask(user("x"), stream_options={"include_usage": True})
    found = live.events(CHAT, body)
    assert found[-1] == "[DONE]"
    chunks = found[:-1]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    assert len({c["id"] for c in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    assert "".join(d.get("content") or "" for d in deltas) == "раз два три"
    assert "".join(d.get("reasoning_content", "") for d in deltas) == "думаю"
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 4


def test_the_clients_tools_are_handed_back(live: Any) -> None:
    live.script.append(FakeAnswer(tool_calls=(ToolCall("call_0", "weather", '{"city": "Омск"}'),)))
    status, found = live.post(CHAT, ask(user("weather in Омск?"), tools=[WEATHER]))
    assert status == 200
    choice = found["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    call = choice["message"]["tool_calls"][0]
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Омск"}'}
    live.script.append("It rains.")
    again = ask(
        user("weather in Омск?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "rain"},
        tools=[WEATHER],
    )
    status, found = live.post(CHAT, again)
    assert status == 200
    assert found["choices"][0]["message"]["content"] == "It rains."
    sent = live.engines[0].requests[1].messages
    assert [m.role for m in sent] == ["system", "user", "assistant", "tool"]
    assert sent[2].tool_calls[0].id == sent[3].tool_call_id == call["id"]


def test_streamed_tool_calls_have_an_index_and_an_id(live: Any) -> None:
    live.script.append(FakeAnswer(tool_calls=(ToolCall("c", "weather", '{"city": "a"}'),)))
    found = live.events(CHAT, ask(user("x"), tools=[WEATHER], tool_choice="required"))
    calls = [
        c["choices"][0]["delta"]["tool_calls"]
        for c in found[:-1]
        if c["choices"][0]["delta"].get("tool_calls")
    ]
    assert len(calls) == 1
    assert calls[0][0]["index"] == 0
    assert calls[0][0]["id"].startswith("call_")
    assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert live.engines[0].requests[0].tool_choice == "required"


def test_own_tools_run_here_and_foreign_ones_do_not(
    server: Callable[..., Any], oss_home: Any
) -> None:
    oss_home.write(
        "config/profiles/mine.toml",
        """
        [model]
        name = "fake:one"
        [backend]
        name = "fake"
        [tools]
        allow = ["fake_tool"]
        """,
    )
    with server() as live:
        live.script += [
            FakeAnswer(tool_calls=(ToolCall("a", "fake_tool", "{}"),)),
            FakeAnswer(
                tool_calls=(
                    ToolCall("b", "fake_tool", "{}"),
                    ToolCall("c", "weather", '{"city": "b"}'),
                )
            ),
        ]
        status, found = live.post(CHAT, ask(user("x"), tools=[WEATHER]))
        assert status == 200
        calls = found["choices"][0]["message"]["tool_calls"]
        assert [call["function"]["name"] for call in calls] == ["weather"]
        requests = live.engines[0].requests
        assert {tool.name for tool in requests[0].tools} == {"fake_tool", "weather"}
        assert requests[1].messages[-1].role == "tool"
        assert len(requests) == 2


def test_a_schema(live: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3}},
        "required": ["n"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    status, found = live.chat(response_format=form)
    assert status == 200
    assert json.loads(found["choices"][0]["message"]["content"]) == {"n": 3}
    live.chat(response_format={"type": "json_object"})
    assert live.engines[0].requests[1].json_schema == {"type": "object"}


def test_logprobs(live: Any) -> None:
    _, found = live.chat("один два", logprobs=True, top_logprobs=2)
    content = found["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in content] == ["один", " два"]
    assert bytes(content[0]["bytes"]).decode() == "один"
    assert len(content[0]["top_logprobs"]) == 2
    assert math.isclose(content[0]["logprob"], -0.1)
    _, found = live.chat("a b")
    assert found["choices"][0]["logprobs"] is None


def test_several_answers(live: Any) -> None:
    live.script += ["one", "two", "three"]
    _, found = live.chat(n=3, seed=5)
    assert [c["index"] for c in found["choices"]] == [0, 1, 2]
    assert {c["message"]["content"] for c in found["choices"]} == {"one", "two", "three"}
    assert sorted(r.sampling.seed for r in live.engines[0].requests) == [5, 6, 7]
    assert found["usage"]["completion_tokens"] == 3
    assert found["usage"]["prompt_tokens"] == 7
    found = live.events(CHAT, ask(user("x"), n=2))
    ends = [c["choices"][0]["index"] for c in found[:-1] if c["choices"][0]["finish_reason"]]
    assert sorted(ends) == [0, 1]


def test_completions(live: Any) -> None:
    body = {"model": "mine", "prompt": ["раз", "два"], "n": 2, "logprobs": 1}
    status, found = live.post("/v1/completions", body)
    assert status == 200
    assert [c["text"] for c in found["choices"]] == ["раз", "раз", "два", "два"]
    assert found["choices"][0]["logprobs"]["tokens"] == ["раз"]
    chunks = live.events("/v1/completions", {"model": "mine", "prompt": "a b c"})
    assert "".join(c["choices"][0]["text"] for c in chunks[:-1]) == "a b c"


def test_what_a_failing_engine_gives(live: Any) -> None:
    live.script.append(FakeAnswer("half of it", error=BackendError("the cable is out")))
    status, found = live.chat()
    assert status == 502
    assert found["error"]["code"] == "engine_failed"
    assert "the cable is out" in found["error"]["message"]
    live.script.append(FakeAnswer("half of it", error=BackendError("the cable is out")))
    found = live.events(CHAT, ask(user("x")))
    assert found[-1]["error"]["message"] == "the cable is out"
    live.script.append(FakeAnswer(error=ContextOverflowError("too long")))
    status, found = live.chat()
    assert (status, found["error"]["code"]) == (400, "context_length_exceeded")


def test_the_turns_notices_reach_the_client(live: Any) -> None:
    long = [
        m
        for n in range(300)
        for m in (user(f"q{n} " * 8), {"role": "assistant", "content": "a " * 8})
    ]
    status, found = live.post(CHAT, ask(*long, user("and now?"), max_tokens=5))
    assert status == 200
    assert "oldest" in found["notices"][0]
