from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import BackendError
from oss.testing.fakes import FakeAnswer, FakeEngine
from support.servers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]
SLOW = FakeAnswer("word " * 400, delay_s=0.02)


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [*HELLO, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        ({"temperature": 5}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 9}, "n"),
        ({"max_tokens": 101}, "max_tokens"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"stop": [""]}, "stop"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"adapter_scales": {"nothing": 1}}, "adapter_scales"),
        ({"modalities": ["audio"]}, "modalities"),
    ],
)
def test_what_is_refused_in_words(
    server: Callable[..., Any], extra: dict[str, Any], param: str
) -> None:
    with server(max_tokens=100) as live:
        status, found = live.post(CHAT, {"model": "mine", "messages": HELLO, **extra})
        assert status == 400, found
        assert found["error"]["type"] == "invalid_request_error"
        assert found["error"]["param"] == param
        assert not live.engines


def test_a_schema_that_is_none(live: Any) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "thing"}}}
    status, found = live.chat(response_format=form)
    assert status == 400
    assert "not a JSON Schema" in found["error"]["message"]


def test_no_file_is_read_and_no_url_fetched(live: Any) -> None:
    seen = socket.create_server(("127.0.0.1", 0))
    seen.settimeout(0.3)
    url = f"http://127.0.0.1:{seen.getsockname()[1]}/x.png"
    for part in (
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "input_image", "image_url": url},
        {"type": "file", "file": {"filename": "/etc/passwd"}},
        {"type": "input_file", "file_url": "file:///etc/passwd"},
    ):
        status, found = live.post(
            CHAT, {"model": "mine", "messages": [{"role": "user", "content": [part]}]}
        )
        assert status == 400
        assert "fetches nothing" in found["error"]["message"]
    schema = {"$ref": url}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    live.script.append("{}")
    live.chat(response_format=form)
    with pytest.raises(TimeoutError):
        seen.accept()
    seen.close()


@pytest.mark.parametrize("model", ["../../etc/passwd", "/etc/passwd", "mine:../x", "mine:x", "min"])
def test_models_are_names_alone(live: Any, model: str) -> None:
    status, found = live.post(CHAT, {"model": model, "messages": HELLO})
    assert status == 404
    assert found["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 200_000, b'{"model": 5}']
)
def test_bodies_that_are_no_requests(live: Any, body: bytes) -> None:
    for path in (CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings"):
        response = live.send("POST", path, body)
        assert response.status == 400
        assert json.loads(response.read())["error"]["message"]


def test_a_body_that_is_too_large(server: Callable[..., Any]) -> None:
    with server(max_body=1000) as live:
        assert live.chat("x" * 2000)[0] == 413
        with socket.create_connection(("127.0.0.1", live.port), 10) as raw:
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            raw.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
            assert b" 413 " in raw.recv(1000).split(b"\r\n")[0]


def test_a_key(server: Callable[..., Any]) -> None:
    with server(key="sécret-ключ") as live:
        right = "Bearer sécret-ключ".encode().decode("latin-1")
        assert live.chat()[0] == 401
        for wrong in ("Bearer no", "Basic x", "sécret", "Bearer "):
            answer = live.send("GET", "/v1/models", headers={"Authorization": wrong})
            assert answer.status == 401
            assert json.loads(answer.read())["error"]["code"] == "invalid_api_key"
        for path in ("/v1/models", "/metrics", "/openapi.json"):
            assert live.send("GET", path).status == 401
            assert live.send("GET", path, headers={"Authorization": right}).status == 200
        assert live.send("GET", "/health").status == 200


def test_other_hosts_and_foreign_pages(server: Callable[..., Any]) -> None:
    with server(hosts=("box.lan",), origins=("http://good.example",)) as live:

        def status(**headers: str) -> int:
            return int(live.send("GET", "/v1/models", headers=headers).status)

        assert status(Host="evil.example") == 403
        assert status(Host=f"localhost:{live.port}") == 200
        assert status(Host="[::1]:80") == 200
        assert status(Host="box.lan") == 200
        assert status(Host="127.0.0.1.evil.example") == 403
        assert status(Host="[") == 403
        assert status(Origin="http://evil.example") == 403
        assert status(Origin="http://good.example") == 200
        assert live.send("GET", "/health", headers={"Host": "evil.example"}).status == 403
    with server() as live:
        answer = live.send("GET", "/v1/models", headers={"Origin": "http://good.example"})
        assert answer.status == 403
        assert answer.getheader("access-control-allow-origin") is None


def test_a_page_that_is_allowed_may_ask_first(server: Callable[..., Any]) -> None:
    """Programs in pages send headers of their own, and browsers ask whether they may; with a key
    too, which that question does not carry.
    """
    wanted = {
        "Origin": "http://good.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    with server(origins=("http://good.example",), key="sesame") as live:
        answer = live.send("OPTIONS", CHAT, headers=wanted)
        assert answer.status == 200
        assert answer.getheader("access-control-allow-origin") == "http://good.example"
        assert "x-stainless-lang" in answer.getheader("access-control-allow-headers")
        headers = {"Origin": "http://good.example", "Authorization": "Bearer sesame"}
        answer = live.send("GET", "/v1/models", headers=headers)
        assert answer.status == 200
        assert answer.getheader("access-control-allow-origin") == "http://good.example"
        answer = live.send("OPTIONS", CHAT, headers={**wanted, "Origin": "http://evil.example"})
        assert answer.status == 400
        assert answer.getheader("access-control-allow-origin") is None
    with server() as live:
        answer = live.send("OPTIONS", CHAT, headers=wanted)
        assert answer.status == 403
        assert answer.getheader("access-control-allow-origin") is None


def test_a_bug_of_ours_is_told_in_the_apis_shape_and_counted(
    server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    with server() as live:
        monkeypatch.setattr(live.service, "check", broken)
        status, found = live.chat()
        assert status == 500
        assert found["error"]["type"] == "server_error"
        assert "a bug" not in found["error"]["message"]
        metrics = live.send("GET", "/metrics").read().decode()
        assert f'oss_requests_total{{path="{CHAT}",status="500"}} 1.0' in metrics
    assert "ZeroDivisionError: a bug" in capsys.readouterr().err


def test_the_queue_is_bounded_and_says_when_to_come_again(server: Callable[..., Any]) -> None:
    with server(parallel=1, queue=1) as live:
        live.script += [SLOW, "second"]
        first = live.send("POST", CHAT, {"model": "mine", "messages": HELLO, "stream": True})
        found: list[Any] = []
        waiting = threading.Thread(
            target=lambda: found.append(json.loads(live.send("POST", CHAT, body).read()))
        )
        body = {"model": "mine", "messages": HELLO}
        waiting.start()
        wait_for(lambda: b"oss_requests_waiting 1.0" in live.send("GET", "/metrics").read())
        answer = live.send("POST", CHAT, body)
        assert answer.status == 429
        assert int(answer.getheader("Retry-After") or 0) >= 1
        assert json.loads(answer.read())["error"]["code"] == "queue_full"
        assert live.send("GET", "/v1/models").status == 200
        first.close()
        live.open[0].close()
        waiting.join(20)
        assert found[0]["choices"][0]["message"]["content"] == "second"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_its_answer(live: Any, stream: bool) -> None:
    live.script.append(SLOW)
    raw = json.dumps({"model": "mine", "messages": HELLO, "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", live.port), 10) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(raw), raw)
        )
        wait_for(lambda: bool(live.engines) and bool(live.engines[0].requests))
        if stream:
            connection.recv(100)
    wait_for(lambda: b"oss_requests_running 0.0" in live.send("GET", "/metrics").read(), 4)
    metrics = live.send("GET", "/metrics").read().decode()
    assert "oss_requests_cancelled_total 1.0" in metrics
    assert "oss_completion_tokens_total{" not in metrics
    assert live.chat("again")[0] == 200


def test_one_that_leaves_the_queue_makes_room(server: Callable[..., Any]) -> None:
    with server(parallel=1, queue=1) as live:
        live.script += [SLOW]
        live.send("POST", CHAT, {"model": "mine", "messages": HELLO, "stream": True})
        raw = json.dumps({"model": "mine", "messages": HELLO}).encode()
        with socket.create_connection(("127.0.0.1", live.port), 10) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(raw), raw)
            )
            wait_for(lambda: b"oss_requests_waiting 1.0" in live.send("GET", "/metrics").read())
        wait_for(lambda: b"oss_requests_waiting 0.0" in live.send("GET", "/metrics").read())
        assert len(live.engines[0].requests) == 1


def test_a_dead_engine_is_replaced(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    live.chat()
    dead = live.engines[0]

    async def gone(self: FakeEngine, *args: Any) -> int:
        if self is dead:
            raise BackendError("no one answers")
        return 3

    live.script.append(FakeAnswer("half", error=BackendError("killed"), delay_s=0.2))
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(live.chat()))
    asking.start()
    wait_for(lambda: len(dead.requests) == 2)
    monkeypatch.setattr(FakeEngine, "count_tokens", gone)
    asking.join(20)
    assert found[0][0] == 502
    assert live.chat("again")[0] == 200
    assert len(live.engines) == 2
    wait_for(lambda: len(live.service.pool.loaded) == 1)


def test_engines_that_fall_silent_are_looked_at(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from oss.turn import pool, shared

    class Impatient(shared.SharedEngine):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, silence=0.05)

    monkeypatch.setattr(pool, "SharedEngine", Impatient)
    live.chat()
    dead = live.engines[0]
    counted = FakeEngine.count_tokens

    async def gone(self: FakeEngine, *args: Any) -> int:
        if self is dead and len(self.requests) > 1:
            raise BackendError("no one answers")
        return await counted(self, *args)

    monkeypatch.setattr(FakeEngine, "count_tokens", gone)
    live.script.append(FakeAnswer("never", delay_s=60))
    begun = time.monotonic()
    status, found = live.chat()
    assert status == 502
    assert "died" in found["error"]["message"]
    assert time.monotonic() - begun < 20
    assert live.chat("again")[0] == 200


def test_paths_and_methods_that_there_are_not(live: Any) -> None:
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", CHAT, 405),
        ("POST", "/v1/models", 405),
        ("DELETE", "/v1/models/mine", 405),
        ("GET", "/v1/models/mine:nothing", 404),
    ):
        answer = live.send(method, path)
        assert answer.status == status, (method, path)
        assert json.loads(answer.read())["error"]["type"] == "invalid_request_error"
