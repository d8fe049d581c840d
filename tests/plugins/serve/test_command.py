"""`oss serve` as a program."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.markdown import blocks
from support.serving import serving

if TYPE_CHECKING:
    from oss.testing.program import OssCli

PROFILE = """
    [model]
    name = "fake:one"
    [backend]
    name = "fake"
"""


@pytest.fixture
def cli(oss_cli: OssCli) -> OssCli:
    oss_cli.use_fakes()
    oss_cli.home.write("config/profiles/моё.toml", PROFILE)
    oss_cli.home.write("config/profiles/mine.toml", PROFILE)
    return oss_cli


def get(port: int, path: str, **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_it_serves_and_stops(cli: OssCli) -> None:
    with serving(cli, "-p", "mine", "-p", "моё", "--load") as live:
        status, found = get(live.port, "/v1/models")
        assert status == 200
        assert {entry["id"] for entry in found["data"]} == {"mine", "моё"}
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(20) == 0


def test_running_answers_may_end(cli: OssCli) -> None:
    long = "слово " * 3000
    cli.home.write(
        "config/profiles/mine.toml",
        PROFILE + f'    [backend.fake]\n    answers = ["{long}"]\n',
    )
    with serving(cli, "-p", "mine") as live:
        connection = HTTPConnection("127.0.0.1", live.port, timeout=30)
        body = {"model": "mine", "messages": [{"role": "user", "content": "x"}], "stream": True}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        answer = connection.getresponse()
        answer.read(100)
        live.process.send_signal(signal.SIGINT)
        rest = answer.read().decode()
        assert rest.rstrip().endswith("data: [DONE]")
        connection.close()
        assert live.process.wait(20) == 0


LONG = (
    PROFILE
    + f"""
    [backend.fake]
    context = 1_000_000
    answers = ["{"a " * 200_000}", "{"a " * 200_000}"]
"""
)
"""More than sockets hold of an answer that is not read, and seconds of work."""


def long_answer(port: int, *, stream: bool) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    body = {"model": "mine", "messages": [{"role": "user", "content": "x"}], "stream": stream}
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    return connection


def test_answers_that_take_longer_than_the_grace_are_ended(cli: OssCli) -> None:
    cli.home.write("config/profiles/mine.toml", LONG)
    with serving(cli, "-p", "mine", "--grace", "0.5") as live:
        connection = long_answer(live.port, stream=True)
        connection.getresponse().read(100)
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(20) == 0
        connection.close()


def test_a_second_signal_breaks_answers_off_in_words(cli: OssCli) -> None:
    cli.home.write("config/profiles/mine.toml", LONG)
    with serving(cli, "-p", "mine") as live:
        streamed, whole = (long_answer(live.port, stream=stream) for stream in (True, False))
        answer = streamed.getresponse()
        answer.read(100)
        live.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        live.process.send_signal(signal.SIGINT)
        rest = answer.read().decode()
        assert '"code":"stopped"' in rest
        assert "[DONE]" not in rest
        refused = whole.getresponse()
        assert refused.status == 503
        assert json.loads(refused.read())["error"]["code"] == "stopped"
        streamed.close()
        whole.close()
        assert live.process.wait(20) == 0


def test_a_key_from_a_file(cli: OssCli) -> None:
    path = cli.home.write("key", "sésame\n")
    path.chmod(0o644)
    refused = cli.run("serve", "--key", f"file:{path}").failed(10)
    assert "chmod 600" in refused.stderr
    path.chmod(0o600)
    with serving(cli, "-p", "mine", "--key", f"file:{path}") as live:
        assert get(live.port, "/v1/models")[0] == 401
        right = "Bearer sésame".encode().decode("latin-1")
        assert get(live.port, "/v1/models", Authorization=right)[0] == 200


def test_another_oss_asks_it(cli: OssCli) -> None:
    """With the profile of docs/clients/oss.md."""
    pytest.importorskip("httpx2")
    pytest.importorskip("tenacity")
    (page,) = (block.body for block in blocks("toml") if block.page.parent.name == "clients")
    assert '"remote:base"' in page
    path = cli.home.write("key", "ключ sesame\n")
    path.chmod(0o600)
    with serving(cli, "-p", "mine", "--key", f"file:{path}") as live:
        page = page.replace("http://192.168.1.5:8765/v1", live.url).replace(":base", ":mine")
        cli.home.write("config/profiles/far.toml", page)
        asked = ("run", "--no-log", "--profile", "far", "Привет, мир!")
        found = cli.run(*asked, env={"OSS_KEY": "ключ sesame"}).ok()
        assert found.stdout.strip() == "Привет, мир!"
        refused = cli.run(*asked, env={"OSS_KEY": "wrong"}).failed(5)
        assert "401" in refused.stderr
        assert "hint:" in refused.stderr


def test_what_it_refuses(cli: OssCli) -> None:
    assert "without a key" in cli.run("serve", "--host", "0.0.0.0").failed(2).stderr
    assert "NOT_SET" in cli.run("serve", "--key", "env:NOT_SET").failed(3).stderr
    secret = cli.run("serve", "--key", "hunter2").failed(3).stderr
    assert "hunter2" not in secret
    assert "nothing" in cli.run("serve", "-p", "nothing").failed(3).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        busy = cli.run("serve", "-p", "mine", "--port", str(port)).failed(8)
        assert str(port) in busy.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_short_soak(cli: OssCli) -> None:
    """Mixed load leaves no thread, no open file and no running request behind."""
    with serving(cli, "-p", "mine", "--queue", "2", "--parallel", "2") as live:

        def state() -> tuple[int, int]:
            folder = Path(f"/proc/{live.process.pid}")
            return len([*(folder / "task").iterdir()]), len([*(folder / "fd").iterdir()])

        def load(number: int, rounds: int) -> None:
            body = {"model": "mine", "messages": [{"role": "user", "content": "слово " * 50}]}
            for turn in range(rounds):
                raw = json.dumps({**body, "stream": turn % 2 == 0}).encode()
                kind = (number + turn) % 5
                if kind == 1:
                    raw = raw[:20]
                elif kind == 2:
                    raw += b" " * (5 * 1024 * 1024)
                with socket.create_connection(("127.0.0.1", live.port), 20) as connection:
                    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                    try:
                        connection.sendall(
                            head
                            + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(raw), raw)
                        )
                        if kind == 3:
                            connection.recv(10)
                        elif kind != 4:
                            while connection.recv(65536):
                                pass
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # a body that is too large is not read to its end

        def round_of_load(rounds: int) -> None:
            threads = [threading.Thread(target=load, args=(n, rounds)) for n in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def settled() -> tuple[int, int]:
            before = state()
            for _ in range(100):
                time.sleep(0.1)
                before, now = state(), before
                if before == now:
                    return now
            return before

        round_of_load(5)
        before = settled()
        round_of_load(20)
        after = settled()
        assert after[0] <= before[0]
        assert after[1] <= before[1]
        connection = HTTPConnection("127.0.0.1", live.port, timeout=20)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        assert "oss_requests_running 0.0" in text
        assert "oss_requests_waiting 0.0" in text
        assert 'status="500"' not in text
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(20) == 0
