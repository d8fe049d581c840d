"""What is refused, and how it is said; both bindings."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.chat import Sampling
from oss.contracts.errors import BackendError, CapabilityError, ModelError
from oss.contracts.messages import Message
from oss.contracts.model import LocalModel
from oss.models.memory import MachineMemory
from oss.testing.conformance.asking import CAPITAL, SAME, Opened, answer
from oss.testing.gguf_file import write_gguf
from oss_plugins.llamacpp import backend as backend_module
from oss_plugins.llamacpp.backend import LlamaCppBackend, choose_binding, contexts_of, fitted
from oss_plugins.llamacpp.settings import Settings, _quota, available_threads

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.adapter import AdapterRef

BINDINGS = ("xllamacpp", "llama-cpp-python")


@pytest.fixture(params=BINDINGS)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    pytest.importorskip(backend_module.BINDINGS[request.param])
    return {**DEFAULTS, "context": 512, "threads": 1, "binding": request.param}


def fails(
    model: LocalModel, options: dict[str, Any], *adapters: AdapterRef
) -> BackendError | ModelError:
    with pytest.raises((BackendError, ModelError)) as caught:
        Opened(LlamaCppBackend(), model, adapters, options).close()
    return caught.value


TURNS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)


@pytest.mark.real
def test_thinking_stands_apart(starter: LocalModel, options: dict[str, Any]) -> None:
    """A template that opens the thought; an answer under a schema has none."""
    template = TURNS + "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
    opened = Opened(LlamaCppBackend(), starter, (), {**options, "chat_template": template})
    try:
        found = opened.ask(CAPITAL)
        assert found.reasoning.strip()
        assert "think>" not in found.content + found.reasoning
        schema = {"type": "boolean"}
        assert opened.ask(CAPITAL, json_schema=schema).content.strip() in ("true", "false")
    finally:
        opened.close()


@pytest.mark.real
def test_a_template_that_refuses(starter: LocalModel, options: dict[str, Any]) -> None:
    template = TURNS + "{{ raise_exception('без пользователя нельзя') if messages|length > 1 }}"
    opened = Opened(LlamaCppBackend(), starter, (), {**options, "chat_template": template})
    try:
        with pytest.raises(BackendError, match="без пользователя"):
            opened.ask((*CAPITAL, *CAPITAL))
        assert opened.ask(CAPITAL).finish_reason
    finally:
        opened.close()


@pytest.mark.real
def test_experts_in_main_memory_need_xllamacpp(starter: LocalModel) -> None:
    options = {**DEFAULTS, "context": 512, "binding": "llama-cpp-python", "cpu_moe_layers": -1}
    pytest.importorskip("llama_cpp")
    assert "cpu_moe_layers" in fails(starter, options).message


@pytest.mark.real
def test_adapters_for_other_models(
    starter: LocalModel, adapter_files: dict[str, AdapterRef]
) -> None:
    options = {**DEFAULTS, "context": 512}
    error = fails(starter, options, adapter_files["other-architecture"])
    assert "'gpt-oss'" in error.message
    assert "'llama'" in error.message
    error = fails(starter, options, adapter_files["other-width"])
    assert "64 by 64" in error.message
    assert "576 by 576" in error.message


@pytest.mark.real
def test_adapters_that_are_none(
    starter: LocalModel, adapter_files: dict[str, AdapterRef], tmp_path: Path
) -> None:
    options = {**DEFAULTS, "context": 512}
    noise = adapter_files["шум"]
    assert "two adapters" in fails(starter, options, noise, noise).message
    assert "no file" in fails(starter, options, replace(noise, path=tmp_path / "нет")).message
    assert "PEFT" in fails(starter, options, replace(noise, path=tmp_path)).message
    assert starter.path is not None
    assert "is a model" in fails(starter, options, replace(noise, path=starter.path)).message
    text = tmp_path / "text.gguf"
    text.write_text("привет")
    assert "not a GGUF" in fails(starter, options, replace(noise, path=text)).message


@pytest.mark.real
def test_an_idle_adapter_among_others_is_named(
    starter: LocalModel, adapter_files: dict[str, AdapterRef], options: dict[str, Any]
) -> None:
    error = fails(starter, options, adapter_files["шум"], adapter_files["idle"])
    assert "'idle'" in error.message
    assert "nothing" in error.message


@pytest.mark.real
def test_several_adapters_with_scales(
    starter: LocalModel, adapter_files: dict[str, AdapterRef], options: dict[str, Any]
) -> None:
    both = (adapter_files["шум"], replace(adapter_files["other-noise"], scale=0.0))
    opened = Opened(LlamaCppBackend(), starter, both, options)
    try:

        def first(**scales: float) -> float:
            found = opened.ask(CAPITAL, SAME, adapter_scales=scales, logprobs=0)
            return found.logprobs[0].logprob

        chosen = [
            first(шум=0),
            first(),
            first(**{"шум": 0, "other-noise": 1}),
            first(**{"other-noise": 1}),
            first(шум=0.5),
        ]
        assert len(set(chosen)) == 5
        assert first(шум=0) == chosen[0]
        with pytest.raises(BackendError, match="чужой"):
            opened.ask(CAPITAL, SAME, adapter_scales={"чужой": 1})
    finally:
        opened.close()


@pytest.mark.real
def test_a_model_that_llama_cpp_cannot_run(tmp_path: Path, options: dict[str, Any]) -> None:
    """A whole GGUF file without sense: one line, with llama.cpp's own last words."""
    model = LocalModel("бессмыслица", "file:x", "gguf", write_gguf(tmp_path / "tiny.gguf"))
    error = fails(model, options)
    assert isinstance(error, ModelError)
    assert "tiny.gguf" in error.message
    assert error.hint


def test_files_that_are_no_models(tmp_path: Path) -> None:
    options = {**DEFAULTS, "context": 512}
    path = tmp_path / "x.gguf"
    model = LocalModel("x", "file:x", "gguf", path)
    assert "x.gguf" in fails(model, options).message
    path.write_bytes(b"PK\x03\x04 something else")
    assert "not a GGUF" in fails(model, options).message
    remote = LocalModel("far", "openai:far", "remote")
    assert "no GGUF" in fails(remote, options).message


@pytest.mark.real
def test_a_context_beyond_all_memory(starter: LocalModel) -> None:
    error = fails(starter, {**DEFAULTS, "context": 1_000_000_000})
    assert isinstance(error, ModelError)
    assert "GiB" in error.message


@pytest.mark.real
def test_context_zero_is_what_the_model_was_trained_for(starter: LocalModel) -> None:
    assert starter.path is not None
    assert fitted(starter.path, "starter", 0) == 8192
    assert fitted(starter.path, "starter", 1000) == 1000


@pytest.mark.real
def test_both_bindings_make_the_same_prompts(starter: LocalModel) -> None:
    for module in backend_module.BINDINGS.values():
        pytest.importorskip(module)
    conversation = (
        Message("system", "Ты — помощник. {{ 7 * 7 }}"),
        Message("user", "Привет, «ёжик»! 🦔\n\n  <b>x</b>"),
        Message("assistant", "Да."),
        Message("user", "?"),
    )
    counts = []
    for binding in BINDINGS:
        options = {**DEFAULTS, "context": 512, "threads": 1, "binding": binding}
        opened = Opened(LlamaCppBackend(), starter, (), options)
        counts.append(opened.count(conversation))
        opened.close()
    assert counts[0] == counts[1]


@pytest.mark.real
def test_llama_cpp_python_keeps_conversations_apart(starter: LocalModel) -> None:
    pytest.importorskip("llama_cpp")
    options = {**DEFAULTS, "context": 512, "threads": 1, "binding": "llama-cpp-python", "slots": 2}
    opened = Opened(LlamaCppBackend(), starter, (), options)
    try:
        persona = Message("system", "Ты — терпеливый наставник. " * 4)
        river = (persona, Message("user", "What is a river?"))
        first = opened.ask(river)
        lake = opened.ask((persona, Message("user", "What is a lake?")))
        assert lake.usage.cached_tokens > 40, "the persona is shared"
        more = (*river, Message("assistant", first.content), Message("user", "And a sea?"))
        again = opened.ask(more)
        assert again.usage.cached_tokens >= first.usage.prompt_tokens, "the first is still there"
        # A third and a fourth do not fit beside them: the oldest give way, and all get answers.
        for number in range(4):
            long = (Message("user", f"{number} " + "слово " * 60),)
            assert opened.ask(long).content
    finally:
        opened.close()


def test_each_slot_may_have_a_context_of_its_own(starter: LocalModel) -> None:
    """Two answers that would not fit one context together."""
    pytest.importorskip("xllamacpp")
    options = {**DEFAULTS, "context": 512, "threads": 1, "slots": 2, "binding": "xllamacpp"}

    async def both(opened: Opened) -> list[str | None]:
        asked = [
            answer(opened.engine, (Message("user", f"{word} " * 300),), Sampling(0, max_tokens=16))
            for word in ("river", "bread")
        ]
        return [found.finish_reason for found in await asyncio.gather(*asked)]

    opened = Opened(LlamaCppBackend(), starter, (), {**options, "contexts": "separate"})
    try:
        assert opened.engine.info.context == 512
        assert set(opened.run(both(opened))) <= {"length", "stop"}
    finally:
        opened.close()


def test_where_each_slot_gets_a_context(
    starter: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert starter.path is not None
    mib = 2**20

    def chosen(available: int, wanted: str = "auto") -> str:
        found = MachineMemory(64000 * mib, available * mib)
        monkeypatch.setattr("oss.models.memory.machine_memory", lambda **_: found)
        options = {**DEFAULTS, "context": 2048, "slots": 8, "contexts": wanted}
        return contexts_of(starter.path, Settings.of(options))

    assert chosen(16000) == "separate"
    assert chosen(1000) == "shared", "8 contexts of 45 MiB and the model are more than a quarter"
    assert chosen(1000, "separate") == "separate"
    assert chosen(16000, "shared") == "shared"


def test_a_missing_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "find_spec", lambda _: None)
    for wanted, extra in (
        ("auto", "starter"),
        ("xllamacpp", "starter"),
        ("llama-cpp-python", "llama-cpp-python"),
    ):
        with pytest.raises(CapabilityError) as caught:
            choose_binding(wanted)
        assert caught.value.hint == f"pip install 'oss-workbench[{extra}]'"
    assert "oss-workbench[starter]" in (LlamaCppBackend.problem() or "")


def test_auto_takes_the_first_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "find_spec", lambda name: name == "llama_cpp" or None)
    assert choose_binding("auto") == "llama-cpp-python"


def test_the_plugin_imports_no_binding() -> None:
    import subprocess

    script = (
        "import sys, oss_plugins.llamacpp, oss_plugins.llamacpp.backend\n"
        "heavy = {'xllamacpp', 'llama_cpp', 'numpy', 'jinja2', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_threads(tmp_path: Path) -> None:
    assert available_threads() >= 1
    limit = tmp_path / "cpu.max"
    limit.write_text("150000 100000\n")
    assert _quota(limit) == 2
    limit.write_text("max 100000\n")
    assert _quota(limit) >= 1
    assert _quota(tmp_path / "absent") >= 1
    assert Settings.of({**DEFAULTS, "context": 0, "threads": 3}).threads == 3
    assert Settings.of({**DEFAULTS, "context": 0}).threads == available_threads()
