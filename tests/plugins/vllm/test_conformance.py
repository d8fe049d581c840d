"""The suite of all backends over a real vLLM on the starter model, and what is vLLM's own.

Takes minutes: a vLLM on a CPU needs one to two to start. ``.ci/vllm-env FOLDER`` builds the
environment; then ``OSS_TEST_VLLM_PYTHON=FOLDER/bin/python pytest -m vllm``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("httpx2")
pytest.importorskip("transformers")

from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.errors import BackendError, CapabilityError
from oss.contracts.messages import Message
from oss.contracts.model import LocalModel
from oss.testing.conformance.asking import CAPITAL, SAME, Opened, answer
from oss_plugins.vllm_server.backend import VllmBackend
from support.conformance import StarterConformance

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Backend
    from oss_plugins.vllm_server.engine import ManagedEngine

pytestmark = [pytest.mark.vllm, pytest.mark.real, pytest.mark.slow]


class TestVllm(StarterConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return VllmBackend()

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls, vllm_python: str) -> Mapping[str, Any]:
        os.environ["OSS_VLLM_PYTHON"] = vllm_python
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        os.environ.setdefault("OMP_NUM_THREADS", "2")
        return {**DEFAULTS, "eager": True, "max_requests": 8, "dtype": "float32"}

    def test_scales_between_and_several_at_once(self, adapted: Opened) -> None:
        async def all_at_once() -> list[float]:
            asked = [
                answer(adapted.engine, CAPITAL, SAME, logprobs=0, adapter_scales={"шум": scale})
                for scale in (0.0, 0.5, 1.0, 0.5)
            ]
            return [found.logprobs[0].logprob for found in await asyncio.gather(*asked)]

        off, half, full, again = adapted.run(all_at_once())
        assert len({round(value, 2) for value in (off, half, full)}) == 3
        assert half == pytest.approx(again, abs=0.01)

    def test_the_same_server_connected(
        self, adapted: Opened, adapter: AdapterRef, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As from another machine: its url, the key from the environment, adapters by name."""
        engine: ManagedEngine = adapted.engine  # type: ignore[assignment]
        monkeypatch.setenv("VLLM_KEY", engine._server.key)
        url = engine.info.details["url"]
        options = {**DEFAULTS, "url": url, "key": "env:VLLM_KEY", "context": 0}
        name = engine.model.name
        model = LocalModel(f"remote:{name}", f"remote:{name}", "remote")
        connected = Opened(VllmBackend(), model, (adapter,), options)
        try:
            assert connected.engine.info.context == engine.info.context
            found = connected.ask(CAPITAL, SAME, logprobs=0, adapter_scales={adapter.name: 1.0})
            wanted = adapted.ask(CAPITAL, SAME, logprobs=0, adapter_scales={adapter.name: 1.0})
            off = adapted.ask(CAPITAL, SAME, logprobs=0, adapter_scales={adapter.name: 0.0})
            first = found.logprobs[0].logprob
            assert first == pytest.approx(wanted.logprobs[0].logprob, abs=0.01)
            assert first != pytest.approx(off.logprobs[0].logprob, abs=0.01)
            with pytest.raises(CapabilityError, match="at scale 1"):
                connected.ask(CAPITAL, SAME, adapter_scales={adapter.name: 0.5})
        finally:
            connected.close()
        monkeypatch.setenv("VLLM_KEY", "wrong")
        with pytest.raises(BackendError, match="401"):
            Opened(VllmBackend(), model, (), options)

    def test_cached_tokens_are_told(self, adapted: Opened) -> None:
        long = (Message("user", "Раз, два, три, четыре, пять. " * 12),)
        adapted.ask(long)
        again = adapted.ask(long).usage
        assert again.cached_tokens > again.prompt_tokens / 2

    def test_every_path_asks_for_the_key(self, opened: Opened) -> None:
        url = opened.engine.info.details["url"]
        for path in ("/v1/models", "/tokenize", "/invocations", "/adapters", "/metrics"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(url + path)
            assert caught.value.code == 401
            caught.value.close()

    def test_a_killed_server_is_started_anew(self, adapted: Opened) -> None:
        engine: ManagedEngine = adapted.engine  # type: ignore[assignment]

        async def killed() -> None:
            request = ChatRequest(CAPITAL, Sampling(temperature=0, max_tokens=900))
            async for _ in engine.chat(request):
                for pid in group(engine._server.pid):
                    os.kill(pid, signal.SIGKILL)

        with pytest.raises(BackendError, match="died"):
            adapted.run(killed())
        assert adapted.ask(CAPITAL).content.strip()


def group(leader: int | None) -> list[int]:
    """The processes of a group, except its leader."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in found if pid != leader and _group(pid) == leader]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1
