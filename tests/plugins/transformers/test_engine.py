"""What is this engine's own: batches, leaving early, several adapters, looks inside."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest

from oss.contracts.adapter import AdapterRef
from oss.contracts.backend import Capability
from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.errors import (
    BackendError,
    CapabilityError,
    EngineDiedError,
    ModelError,
    UsageError,
)
from oss.contracts.messages import Message
from oss.contracts.model import LocalModel
from oss.testing.conformance.asking import (
    CAPITAL,
    CYRILLIC,
    GREEDY,
    Answer,
    Opened,
    answer,
)
from oss_plugins.hf_transformers.backend import TransformersBackend
from support.threads import end_thread

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss_plugins.hf_transformers.engine import TransformersEngine

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.torch]

OPTIONS = {**DEFAULTS, "context": 512, "threads": 1}


@pytest.fixture(scope="module")
def opened(starter: LocalModel, adapter_files: dict[str, AdapterRef]) -> Iterator[Opened]:
    both = (adapter_files["шум"], adapter_files["noise-2"])
    opened = Opened(TransformersBackend(), starter, both, OPTIONS)
    yield opened
    opened.close()


OFF = {"шум.1": 0.0, "noise-2": 0.0}


def batches(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each batch has, from here on."""
    seen: list[int] = []
    worker = cast("TransformersEngine", opened.engine)._worker
    generate = worker._generate

    def counted(rows: Any) -> None:
        seen.append(len(rows))
        generate(rows)

    monkeypatch.setattr(worker, "_generate", counted)
    return seen


def test_waiting_requests_are_answered_together_and_as_alone(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [CAPITAL, CYRILLIC, (Message("user", "Count: one, two,"),)]
    alone = [opened.ask(prompt, adapter_scales=OFF).content for prompt in prompts]
    seen = batches(opened, monkeypatch)

    async def together() -> list[str]:
        asked = [answer(opened.engine, each, adapter_scales=OFF) for each in prompts * 2]
        return [found.content for found in await asyncio.gather(*asked)]

    assert opened.run(together()) == alone * 2
    assert sum(seen) == 6
    assert len(seen) < 6


def test_other_scales_go_in_another_batch(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    scales = [OFF, {**OFF, "шум.1": 0.5}, {**OFF, "noise-2": 1.0}, {}]

    def first(found: Answer) -> float:
        return round(found.logprobs[0].logprob, 3)

    alone = [first(opened.ask(CAPITAL, adapter_scales=each, logprobs=0)) for each in scales]
    assert len(set(alone)) == 4
    seen = batches(opened, monkeypatch)

    async def together() -> list[float]:
        asked = [
            answer(opened.engine, CAPITAL, adapter_scales=each, logprobs=0) for each in scales * 2
        ]
        return [first(found) for found in await asyncio.gather(*asked)]

    assert opened.run(together()) == pytest.approx(alone * 2, abs=0.002)
    assert max(seen) <= 2


def test_a_reader_that_leaves_frees_the_engine_at_once(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave() -> int:
        request = ChatRequest(CAPITAL, Sampling(temperature=1.5, seed=1, max_tokens=400))
        async with aclosing(cast("Any", opened.engine.chat(request))) as deltas:
            async for _ in deltas:
                break
        return (await answer(opened.engine, CAPITAL)).usage.completion_tokens

    rows: list[Any] = []
    worker = cast("TransformersEngine", opened.engine)._worker
    submit = worker.submit

    def noted(row: Any) -> None:
        rows.append(row)
        submit(row)

    monkeypatch.setattr(worker, "submit", noted)
    assert opened.run(leave()) > 0
    assert len(rows[0]._tokens) <= 5


def test_drawn_answers_differ_without_a_seed(opened: Opened) -> None:
    wild = Sampling(temperature=2.0, max_tokens=12)
    assert len({opened.ask(CAPITAL, wild).content for _ in range(4)}) > 1


def test_penalties_keep_a_token_from_coming_again(opened: Opened) -> None:
    asked = (Message("user", "Repeat the word yes forever: yes yes yes yes"),)
    greedy = Sampling(temperature=0, max_tokens=30)
    plain = opened.ask(asked, greedy, adapter_scales=OFF).content.split()
    strict = Sampling(temperature=0, max_tokens=30, presence_penalty=2, frequency_penalty=2)
    varied = opened.ask(asked, strict, adapter_scales=OFF).content.split()
    assert len(set(varied)) / len(varied) > len(set(plain)) / len(plain)


def test_a_schema_that_cannot_be_kept_to(opened: Opened) -> None:
    with pytest.raises(UsageError, match="JSON Schema"):
        opened.ask(CAPITAL, json_schema={"type": "неизвестный"})


def test_logits_are_those_of_the_model(opened: Opened, starter: LocalModel) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    engine = cast("TransformersEngine", opened.engine)
    found = opened.run(engine.analyse("Paris is the capital of"))
    assert "".join(found.tokens) == "Paris is the capital of"
    assert found.logits.shape == (5, 49152)
    assert found.router_logits == ()
    alone = AutoModelForCausalLM.from_pretrained(starter.path, dtype=torch.float32).eval()
    with torch.inference_mode():
        plain = alone(torch.tensor([found.ids])).logits[0]
    assert not torch.equal(plain, found.logits), "the adapters act on it"


def test_vectors_are_the_same_alone_and_in_company(opened: Opened) -> None:
    engine = cast("TransformersEngine", opened.engine)
    texts = ["Green tea is not fermented.", "чай", "", "The moon has no air. " * 20]
    together = opened.run(engine.embed(texts * 3))
    assert len(together) == 12
    for text, vector in zip(texts, together, strict=False):
        assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-4)
        assert opened.run(engine.embed([text]))[0] == pytest.approx(vector, abs=1e-3)
    assert opened.run(engine.embed([])) == []


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        (None, "mean"),
        ('{"pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": false}', "last"),
        ('{"pooling_mode_cls_token": true}', "first"),
        ("{", "mean"),
    ],
)
def test_pooling_is_what_the_models_files_say(
    opened: Opened, tmp_path: Path, said: str | None, pooling: str
) -> None:
    import torch

    from oss_plugins.hf_transformers.embedding import embed, pooling_of

    if said is not None:
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(said)
    found = pooling_of(tmp_path)
    assert found == pooling
    loaded = cast("TransformersEngine", opened.engine)._loaded
    ids = loaded.tokenizer("The moon has no air.")["input_ids"]
    (vector,) = embed(loaded, [ids], found)
    with torch.inference_mode():
        given = torch.tensor([ids])
        states = loaded.model(input_ids=given, output_hidden_states=True).hidden_states[-1][0]
    wanted = {"mean": states.mean(0), "last": states[-1], "first": states[0]}[pooling]
    wanted = wanted / wanted.norm()
    assert vector == pytest.approx(wanted.tolist(), abs=1e-3)


def test_expert_routing_is_for_mixtures(opened: Opened) -> None:
    assert Capability.EXPERT_ROUTING not in opened.engine.info.capabilities


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_here(starter: LocalModel, device: str) -> None:
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("it is here")
    with pytest.raises(CapabilityError, match=device):
        Opened(TransformersBackend(), starter, (), {**OPTIONS, "device": device})


def test_a_model_in_another_form_only(tmp_path: Path) -> None:
    model = LocalModel("starter", "file:x", "gguf", tmp_path / "x.gguf")
    with pytest.raises(ModelError) as caught:
        Opened(TransformersBackend(), model, (), OPTIONS)
    assert caught.value.hint == "oss model convert starter --to hf"


def test_a_pickled_adapter_is_refused(starter: LocalModel, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(BackendError, match="safetensors"):
        Opened(TransformersBackend(), starter, (AdapterRef("p", tmp_path),), OPTIONS)


def test_the_end_of_the_engines_thread(starter: LocalModel) -> None:
    """The running request and those that wait get an error, and so does whoever comes later: the
    pool of `oss serve` opens a new engine for them.
    """
    opened = Opened(TransformersBackend(), starter, (), {**OPTIONS, "batch": 1})
    worker = cast("TransformersEngine", opened.engine)._worker
    begun = asyncio.Event()

    async def run_on() -> None:
        request = ChatRequest(CAPITAL, Sampling(temperature=1.5, seed=1, max_tokens=400))
        async for _ in opened.engine.chat(request):
            begun.set()

    async def ended() -> list[BaseException | None]:
        tasks = [asyncio.create_task(run_on()) for _ in range(2)]
        await begun.wait()
        end_thread(worker._thread)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    assert [type(found) for found in opened.run(ended())] == [EngineDiedError] * 2
    with pytest.raises(EngineDiedError, match="gone"):
        opened.run(opened.engine.count_tokens(CAPITAL))
    with pytest.raises(EngineDiedError):
        opened.ask(CAPITAL, GREEDY)
    opened.close()


def test_closing_ends_what_runs(starter: LocalModel) -> None:
    opened = Opened(TransformersBackend(), starter, (), OPTIONS)

    async def run_on() -> str | None:
        request = ChatRequest(CAPITAL, Sampling(temperature=1.5, seed=1, max_tokens=400))
        reason = None
        async for delta in opened.engine.chat(request):
            if reason is None:
                await asyncio.to_thread(cast("TransformersEngine", opened.engine)._worker.close)
            reason = delta.finish_reason or "unfinished"
        return reason

    assert opened.run(run_on()) == "cancelled"
    with pytest.raises(BackendError, match="closed"):
        opened.ask(CAPITAL, GREEDY)
    opened.close()
