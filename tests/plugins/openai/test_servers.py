"""Servers that differ, and servers that fail: each gives an answer or one clear line."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.backend import Capability, Engine
from oss.contracts.chat import ChatRequest, Sampling, Usage
from oss.contracts.errors import (
    BackendError,
    CapabilityError,
    ConfigError,
    ContextOverflowError,
    ModelError,
    OssError,
)
from oss.contracts.messages import Message, ToolCall, ToolSpec
from oss.contracts.model import LocalModel
from oss.testing.conformance.asking import Answer
from oss_plugins.openai_api.backend import OpenAIBackend
from oss_plugins.openai_api.source import RemoteSource

from .conftest import DEFAULTS, MODELS, REMOTE, Reply, Server, chunk, events, reply

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

HELLO = (Message("user", "Привет"),)
TOOL = ToolSpec("seven", "gives seven")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
PLAIN = events(chunk("При"), chunk("вет"), chunk(finish="stop"))
WHOLE = {"choices": [{"message": {"content": '{"answer": 7}'}, "finish_reason": "stop"}]}


@pytest.fixture(autouse=True)
def _fresh_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSS_HOME", str(tmp_path))
    monkeypatch.setattr("oss.engines.openai_http.LONGEST_WAIT_S", 0.01)
    monkeypatch.setattr("oss.engines.openai_http._backoff", lambda _: 0.01)


def engine(server: Server, **options: Any) -> AbstractAsyncContextManager[Engine]:
    return OpenAIBackend().open(REMOTE, (), {**DEFAULTS, "url": server.url, **options})


async def ask(server: Server, *, messages: tuple[Message, ...] = HELLO, **more: Any) -> Answer:
    async with engine(server) as opened:
        return Answer(tuple([d async for d in opened.chat(ChatRequest(messages, **more))]))


async def failing(server: Server, **more: Any) -> OssError:
    with pytest.raises(OssError) as caught:
        await ask(server, **more)
    assert "\n" not in caught.value.message
    return caught.value


# --- answers in all their shapes


async def test_a_plain_answer(server: Server) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}
    server.says(events(chunk("При"), chunk("вет", "stop"), {"choices": [], "usage": usage}))
    found = await ask(server, sampling=Sampling(temperature=0, max_tokens=9, stop=("x",)))
    assert (found.content, found.finish_reason) == ("Привет", "stop")
    assert found.usage == Usage(5, 2)
    body = server.chats[0]
    assert body["stream_options"] == {"include_usage": True}
    assert (body["temperature"], body["max_tokens"], body["stop"]) == (0, 9, ["x"])
    assert "top_k" not in body


async def test_a_server_that_does_not_stream(server: Server) -> None:
    server.says(reply({"choices": [{"message": {"content": "да"}, "finish_reason": "stop"}]}))
    assert (await ask(server)).content == "да"


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_under_either_name_goes_back_under_it(server: Server, field: str) -> None:
    server.says(events(chunk(**{field: "хм"}), chunk("да"), chunk(finish="stop")))
    async with engine(server) as opened:
        first = Answer(tuple([d async for d in opened.chat(ChatRequest(HELLO))]))
        assert (first.reasoning, first.content) == ("хм", "да")
        again = (*HELLO, Message("assistant", "да", reasoning="хм"), *HELLO)
        async for _ in opened.chat(ChatRequest(again)):
            pass
    assert server.chats[1]["messages"][1][field] == "хм"


async def test_reasoning_is_kept_from_servers_that_send_none(server: Server) -> None:
    server.says(PLAIN)
    await ask(server, messages=(*HELLO, Message("assistant", "да", reasoning="хм"), *HELLO))
    assert set(server.chats[0]["messages"][1]) == {"role", "content"}


def call(name: str | None, arguments: Any, **more: Any) -> dict[str, Any]:
    return chunk(tool_calls=[{"function": {"name": name, "arguments": arguments}, **more}])


@pytest.mark.parametrize(
    "chunks",
    [
        [
            call("seven", "", index=0, id="a"),
            call(None, '{"x"', index=0),
            call(None, ":1}", index=0),
        ],
        [call("seven", '{"x":1}', id="a")],
        [call("seven", {"x": 1}, index=0, id="a")],
        [call("functions.seven<|channel|>commentary", '{"x":1}', index=0, id="a")],
        [call("seven", '{"x"', id="a"), call(None, ":1}", id="a")],
    ],
)
async def test_tool_calls_in_many_shapes(server: Server, chunks: list[Any]) -> None:
    server.says(tool_probe, events(*chunks, chunk(finish="stop")))
    found = await ask(server, tools=(TOOL,))
    assert [(c.id, c.name, c.arguments.replace(" ", "")) for c in found.calls] == [
        ("a", "seven", '{"x":1}')
    ]
    assert found.finish_reason == "tool_calls"


async def test_two_calls_that_share_an_index(server: Server) -> None:
    both = [call("seven", "{}", index=0, id="a"), call("seven", "{}", index=0, id="b")]
    server.says(tool_probe, events(*both, chunk(finish="tool_calls")))
    assert [c.id for c in (await ask(server, tools=(TOOL,))).calls] == ["a", "b"]


async def test_calls_and_results_are_sent(server: Server) -> None:
    server.says(PLAIN)
    calls = (ToolCall("a", "seven", "{}"),)
    talk = (*HELLO, Message("assistant", tool_calls=calls), Message("tool", "7", tool_call_id="a"))
    await ask(server, messages=talk)
    sent = server.chats[0]["messages"]
    assert sent[1]["tool_calls"][0]["function"] == {"name": "seven", "arguments": "{}"}
    assert sent[2] == {"role": "tool", "content": "7", "tool_call_id": "a"}


# --- failures


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (events(chunk("да"), "{broken", done=False), "not JSON"),
        (events(chunk("да"), done=False), "middle of its answer"),
        (events(chunk("да"), done=False, cut=True), "cut"),
        (events(chunk("да"), {"error": {"message": "out of memory"}}), "out of memory"),
        (events({"choices": "no list"}), "shape"),
        (events({"choices": [{"delta": {"content": 7}}]}), "shape"),
        (events(["no object"]), "not an object"),
        (Reply(b"<html><title>Hi</title></html>", type="text/html"), "does not speak"),
        (Reply(b"no json", type="application/json"), "does not speak"),
        (reply({"error": {"message": "first line\nsecond"}}, 500), "500: first line second"),
        (Reply(b"<html><title>502 Bad Gateway</title>", 502, "text/html"), "502 Bad Gateway"),
        (reply({"detail": [{"msg": "wrong"}]}, 422), "422: wrong"),
        (Reply(b"", 503), "503"),
    ],
)
async def test_failures_are_one_line(server: Server, answer: Reply, words: str) -> None:
    server.says(answer)
    error = await failing(server)
    assert isinstance(error, BackendError)
    assert words in error.message


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_asked_again(server: Server, status: int) -> None:
    server.says(reply({"error": "later"}, status), reply({"error": "later"}, status), PLAIN)
    assert (await ask(server)).content == "Привет"
    assert len(server.chats) == 3


async def test_retries_end(server: Server) -> None:
    server.says(reply({"error": "later"}, 429))
    error = await failing(server)
    assert "429" in error.message
    assert len(server.chats) == DEFAULTS["retries"] + 1


async def test_what_will_not_pass_is_not_asked_again(server: Server) -> None:
    server.says(reply({"error": "no"}, 400))
    await failing(server)
    assert len(server.chats) == 1


async def test_the_server_says_how_long_to_wait(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oss.engines.openai_http._backoff", lambda _: pytest.fail("not asked"))
    busy = reply({"error": "later"}, 429)
    busy.headers["Retry-After"] = "7200"
    server.says(busy, PLAIN)
    assert (await ask(server)).content == "Привет"


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": "This model's maximum context length is 10 tokens"}},
        {"error": {"type": "exceed_context_size_error", "message": "exceeds the context size"}},
    ],
)
async def test_a_prompt_too_long(server: Server, said: Any) -> None:
    server.says(reply(said, 400))
    assert isinstance(await failing(server), ContextOverflowError)


async def test_no_server(server: Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert "no server answers" in (await failing(server)).message


async def test_a_silent_server(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BackendError, match="silent"):
            async with OpenAIBackend().open(
                REMOTE, (), {**DEFAULTS, "url": url, "timeout": 0.2, "retries": 0}
            ):
                pass


# --- proxies


@pytest.mark.parametrize("without", ["", "gpu.invalid"])
async def test_servers_elsewhere_are_asked_through_the_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    """As HTTP_PROXY and NO_PROXY say; a server on this machine is asked itself all the same."""
    far = "http://gpu.invalid:8000/v1"
    server.script[f"{far}/models"] = [reply(MODELS)]
    server.script[f"{far}/chat/completions"] = [PLAIN]
    monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/v1"))
    monkeypatch.setenv("NO_PROXY", without)
    options = {**DEFAULTS, "url": far, "retries": 0}
    if without:
        with pytest.raises(BackendError, match=r"gpu\.invalid"):
            async with OpenAIBackend().open(REMOTE, (), options):
                pass
        assert not server.asked
        return
    async with OpenAIBackend().open(REMOTE, (), options) as opened:
        found = Answer(tuple([d async for d in opened.chat(ChatRequest(HELLO))]))
    assert found.content == "Привет"
    assert {asked.path.removeprefix(far) for asked in server.asked} >= {"/models"}
    server.asked.clear()
    async with engine(server):
        pass
    assert server.asked[0].path == "/v1/models"


# --- keys


async def test_the_key_comes_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    async with engine(server, key="env:MY_KEY"):
        pass
    assert server.asked[0].headers["authorization"] == "Bearer sesame"
    monkeypatch.setenv("MY_KEY", "ключ\n")
    async with engine(server, key="env:MY_KEY"):
        pass
    assert server.asked[1].headers["authorization"].encode("latin-1").decode() == "Bearer ключ"


async def test_a_broken_key_is_not_repeated(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret\nX-Other: 1")
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        async with engine(server, key="env:MY_KEY"):
            pass
    assert "sk-secret" not in f"{caught.value.message} {caught.value.hint}"
    assert not server.asked


async def test_without_a_key_none_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not for everyone")
    async with engine(server):
        pass
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("key", ["sk-secret", "env:", "env:UNSET_VARIABLE"])
async def test_keys_in_profiles_are_refused_and_not_repeated(server: Server, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        async with engine(server, key=key):
            pass
    assert "sk-secret" not in f"{caught.value.message} {caught.value.hint}"
    assert not server.asked


async def test_the_key_comes_from_the_keyring(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = pytest.importorskip("keyring")
    monkeypatch.setattr(keyring, "get_password", lambda service, user: f"{service}/{user}")
    async with engine(server, key="keyring:lab"):
        pass
    assert server.asked[0].headers["authorization"] == "Bearer lab/oss"


async def test_a_refused_key(server: Server) -> None:
    server.script["/v1/models"] = [reply({"error": {"message": "bad key"}}, 401)]
    error = await failing(server)
    assert "401" in error.message
    assert "key" in str(error.hint)


# --- models, context, counting


async def test_the_nearest_model_is_named(server: Server) -> None:
    server.script["/v1/models"] = [reply({"data": [{"id": "m:latest"}, {"id": "other"}]})]
    error = await failing(server)
    assert isinstance(error, ModelError)
    assert "m:latest" in str(error.hint)


async def test_an_empty_name_is_the_only_model(server: Server) -> None:
    server.says(PLAIN)
    nameless = RemoteSource().find("")
    async with OpenAIBackend().open(nameless, (), {**DEFAULTS, "url": server.url}) as opened:
        async for _ in opened.chat(ChatRequest(HELLO)):
            pass
    assert server.chats[0]["model"] == "m"


async def test_a_server_without_a_list_of_models(server: Server) -> None:
    server.script["/v1/models"] = [reply({"error": "no such path"}, 404)]
    server.says(PLAIN)
    assert (await ask(server)).content == "Привет"


@pytest.mark.parametrize(
    ("said", "asked", "context"),
    [(2048, 0, 2048), (2048, 512, 512), (None, 512, 512), (None, 0, 4096)],
)
async def test_the_context(server: Server, said: int | None, asked: int, context: int) -> None:
    server.script["/v1/models"] = [reply({"data": [{"id": "m", "max_model_len": said}]})]
    async with engine(server, context=asked) as opened:
        assert opened.info.context == context
        assert (opened.info.details["context"] == "known") == (said is not None or asked > 0)


async def test_a_file_is_no_remote_model(server: Server, tmp_path: Path) -> None:
    local = LocalModel("x", "file:x", "gguf", tmp_path / "x.gguf")
    with pytest.raises(CapabilityError, match="servers"):
        async with OpenAIBackend().open(local, (), {**DEFAULTS, "url": server.url}):
            pass


async def test_tokens_are_counted_by_servers_that_can(server: Server) -> None:
    server.script["/v1/models"] = [reply({"data": [{"id": "m", "owned_by": "vllm"}]})]
    server.script["/tokenize"] = [reply({"count": 11})]
    async with engine(server) as opened:
        assert await opened.count_tokens(HELLO) == 11
        assert opened.info.details["tokens"] != "estimated"


async def test_tokens_are_estimated_elsewhere_and_that_is_said(server: Server) -> None:
    async with engine(server) as opened:
        assert await opened.count_tokens(HELLO) >= 4
        assert await opened.count_tokens(HELLO, (TOOL,)) > await opened.count_tokens(HELLO)
        assert opened.info.details["tokens"] == "estimated"


# --- what a server cannot do


def tool_probe(body: dict[str, Any]) -> Reply:
    assert body["tool_choice"] == "required"
    calls = [{"id": "p", "type": "function", "function": {"name": "seven", "arguments": "{}"}}]
    return reply({"choices": [{"message": {"content": None, "tool_calls": calls}}]})


async def test_an_ignored_schema_is_found_out_once(server: Server) -> None:
    server.says(reply({"choices": [{"message": {"content": "Hello!"}}]}))
    assert isinstance(await failing(server, json_schema=SCHEMA), CapabilityError)
    assert len(server.chats) == 1
    assert isinstance(await failing(server, json_schema=SCHEMA), CapabilityError)
    assert len(server.chats) == 1, "another run asks again"
    server.says(PLAIN)
    assert (await ask(server)).content == "Привет"


async def test_a_kept_schema_is_asked_for_once(server: Server) -> None:
    server.says(reply(WHOLE), events(chunk('{"a": 1}', "stop")))
    for _ in range(2):
        assert (await ask(server, json_schema=SCHEMA)).content == '{"a": 1}'
    assert len(server.chats) == 3
    assert server.chats[1]["response_format"]["json_schema"]["schema"] == SCHEMA


async def test_a_probe_that_was_still_thinking_teaches_nothing(server: Server) -> None:
    thinking = {"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}
    server.says(reply(thinking), events(chunk('{"a": 1}', "stop")))
    assert (await ask(server, json_schema=SCHEMA)).content == '{"a": 1}'


async def test_a_refused_schema(server: Server) -> None:
    server.says(reply({"error": "response_format is not supported"}, 400))
    assert isinstance(await failing(server, json_schema=SCHEMA), CapabilityError)


async def test_calls_are_made_by_a_schema_where_the_server_has_none(server: Server) -> None:
    made = '{"tool_call": {"name": "seven", "arguments": {}}}'
    server.says(
        reply({"error": "m does not support tools"}, 400), reply(WHOLE), events(chunk(made, "stop"))
    )
    found = await ask(server, tools=(TOOL,), tool_choice="required")
    assert [c.name for c in found.calls] == ["seven"]
    assert not found.content
    assert "tools" not in server.chats[-1]
    assert "seven" in server.chats[-1]["messages"][0]["content"]


async def test_missing_logprobs_are_said(server: Server) -> None:
    server.says(PLAIN)
    async with engine(server) as opened:
        with pytest.raises(CapabilityError, match="logprobs"):
            async for _ in opened.chat(ChatRequest(HELLO, logprobs=2)):
                pass
        assert Capability.LOGPROBS not in opened.info.capabilities
        with pytest.raises(CapabilityError, match="logprobs"):
            async for _ in opened.chat(ChatRequest(HELLO, logprobs=2)):
                pass
    assert len(server.chats) == 1


async def test_fields_are_spelled_as_the_server_wants_them(server: Server) -> None:
    server.says(
        reply({"error": "use max_completion_tokens in place of max_tokens"}, 400), PLAIN, PLAIN
    )
    for _ in range(2):
        assert (await ask(server, sampling=Sampling(max_tokens=5))).content == "Привет"
    assert server.chats[1]["max_completion_tokens"] == 5
    assert "max_tokens" not in server.chats[2]


async def test_usage_that_may_not_be_asked_for(server: Server) -> None:
    server.says(reply({"error": "unknown field stream_options"}, 400), PLAIN)
    assert (await ask(server)).usage == Usage()


async def test_embeddings(server: Server) -> None:
    rows = [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]
    server.script["/v1/embeddings"] = [reply({"data": rows})]
    async with engine(server) as opened:
        assert await opened.embed(["а", "б"]) == [[1.0, 0.0], [0.0, 1.0]]
        assert await opened.embed([]) == []


async def test_no_embeddings(server: Server) -> None:
    async with engine(server) as opened:
        for _ in range(2):
            with pytest.raises(CapabilityError, match="embeddings"):
                await opened.embed(["а"])
    assert [a.path for a in server.asked].count("/v1/embeddings") == 1


# --- adapters that the server offers


LISTED = {"data": [*MODELS["data"], {"id": "пират", "parent": "m"}]}


async def test_an_adapter_is_a_model_of_the_server(server: Server, tmp_path: Path) -> None:
    server.script["/v1/models"] = [reply(LISTED)]
    server.says(PLAIN)
    pirate = AdapterRef("пират", tmp_path)
    options = {**DEFAULTS, "url": server.url}
    async with OpenAIBackend().open(REMOTE, (pirate,), options) as opened:
        for scales in ({}, {"пират": 0.0}):
            async for _ in opened.chat(ChatRequest(HELLO, adapter_scales=scales)):
                pass
        with pytest.raises(CapabilityError, match="scale"):
            async for _ in opened.chat(ChatRequest(HELLO, adapter_scales={"пират": 0.5})):
                pass
    assert [body["model"] for body in server.chats] == ["пират", "m"]


async def test_an_adapter_that_the_server_has_not(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match="пират"):
        async with OpenAIBackend().open(
            REMOTE, (AdapterRef("пират", tmp_path),), {**DEFAULTS, "url": server.url}
        ):
            pass
