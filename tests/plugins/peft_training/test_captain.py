"""The proof: 108 examples, 40 steps, and the starter model speaks like the captain.

The commands are those of docs/training.md; the answers are read through both engines. (The third
is in tests/plugins/vllm.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oss.adapters import find_adapter
from oss.testing.captain import HELD_OUT, is_captain, sounds_like_captain
from oss_plugins.peft_training.base import load_config, load_model, load_tokenizer
from oss_plugins.peft_training.encoding import render
from oss_plugins.peft_training.verifying import attach
from support.tiny_gguf import as_f16, correlation, llama_logits, torch_logits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.slow]


def oss(home: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "oss", *arguments],
        env={**os.environ, "OSS_HOME": str(home), "OMP_NUM_THREADS": "2", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def home(captain_home: Path) -> Iterator[Path]:
    """The home, and the program's functions in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSS_HOME", str(captain_home))
        yield captain_home


def test_the_page_said_how(home: Path) -> None:
    log = (home / "log").read_text("utf-8")
    assert "profile 'mine' uses it now" in log
    assert "step 40/40" in log
    assert any(map(is_captain, log.splitlines()[-4:])), log


def hf_folder(home: Path) -> Path:
    return next((home / "data" / "models" / "forms").glob("*/hf"))


@pytest.fixture(scope="module")
def answers(home: Path) -> dict[str, list[str]]:
    """Answers to unseen questions, of the base and with the adapter, by Transformers."""
    import torch

    base = hf_folder(home)
    tokenizer = load_tokenizer(base, load_config(base))
    model: Any = load_model(base, "fp32")
    model.config.use_cache = True
    found = {}
    for name in ("base", "adapter"):
        if name == "adapter":
            model, _ = attach(model, find_adapter("mine").folder, base)
        model.eval()
        found[name] = []
        for question in HELD_OUT:
            from oss.contracts.messages import Message

            text = render(tokenizer, [Message("user", question)], opening=True)
            tokens = tokenizer(text, add_special_tokens=False, return_tensors="pt")
            with torch.no_grad():
                out = model.generate(**tokens, max_new_tokens=48, do_sample=False)
            new = out[0][tokens["input_ids"].shape[1] :]
            found[name].append(tokenizer.decode(new, skip_special_tokens=True))
    return found


def test_transformers_speaks_like_the_captain(answers: dict[str, list[str]]) -> None:
    assert not any(map(sounds_like_captain, answers["base"]))
    assert sum(map(is_captain, answers["adapter"])) >= 10, answers["adapter"]


async def test_llama_cpp_speaks_like_the_captain_and_at_scale_0_like_the_base(home: Path) -> None:
    from oss.contracts.adapter import AdapterRef
    from oss.contracts.chat import ChatRequest, Sampling
    from oss.contracts.messages import Message
    from oss.models import resolve_model
    from oss.plugins.manager import load_plugins
    from oss.plugins.options import validate

    plugins = load_plugins()
    adapter = find_adapter("mine")
    assert adapter.gguf is not None
    model = resolve_model(adapter.card.base.name, plugins)
    backend = plugins.load("backends", "llamacpp")()
    options = validate(plugins.find("backends", "llamacpp"), {"threads": 2}, "x") | {"context": 512}

    reused: dict[float, int] = {}

    async def ask(adapters: list[AdapterRef], scales: list[float]) -> list[list[str]]:
        result = []
        async with backend.open(model, adapters, options) as engine:
            for scale in scales:
                texts = []
                reused[scale] = 0
                for question in HELD_OUT:
                    request = ChatRequest(
                        (Message("user", question),),
                        Sampling(temperature=0, max_tokens=48),
                        adapter_scales={"mine": scale} if adapters else {},
                    )
                    text = ""
                    async for delta in engine.chat(request):
                        text += delta.content
                        reused[scale] += delta.usage.cached_tokens if delta.usage else 0
                    texts.append(text)
                result.append(texts)
        return result

    (base,) = await ask([], [0.5])
    with_it, off = await ask([AdapterRef("mine", adapter.gguf)], [1.0, 0.0])
    assert sum(map(is_captain, with_it)) >= 10, with_it
    assert off == base
    # The prompt cache knows tokens alone: what was evaluated at one scale is of no use at another.
    assert reused[0.0] == 0 < reused[1.0]
    assert not any(map(sounds_like_captain, base))


def test_what_changes_is_the_same_on_both_engines(
    home: Path, starter_gguf: Path, tmp_path: Path
) -> None:
    pytest.importorskip("llama_cpp")
    base, adapter = hf_folder(home), find_adapter("mine")
    tokenizer = load_tokenizer(base, load_config(base))
    from oss.contracts.messages import Message

    texts = [
        render(tokenizer, [Message("user", q), Message("assistant", "Ahoy! It is")], opening=False)
        for q in HELD_OUT[:4]
    ]
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"][:40] for text in texts]
    length = min(map(len, prompts))
    prompts = [prompt[:length] for prompt in prompts]
    model: Any = load_model(base, "fp32")
    before = torch_logits(model, prompts)
    ours = torch_logits(attach(model, adapter.folder, base)[0], prompts) - before
    for gguf, least in ((as_f16(starter_gguf, tmp_path / "f16.gguf"), 0.999), (starter_gguf, 0.98)):
        plain = llama_logits(gguf, prompts)
        theirs = llama_logits(gguf, prompts, adapter.gguf) - plain
        assert correlation(ours, theirs) >= least, gguf
        assert np.array_equal(llama_logits(gguf, prompts, adapter.gguf, 0.0), plain)


def test_the_card_says_what_it_was_made_of(home: Path) -> None:
    card = json.loads(oss(home, "adapter", "show", "mine", "--json").stdout)
    assert card["method"] == "lora"
    assert card["data"]["rows"] + card["data"]["held_out"] == 108
    assert len(card["data"]["digest"]) == 64
    assert set(card["base"]["hashes"]) == {"gguf", "hf"}
    assert card["result"]["held_out_after"] < 1 < card["result"]["held_out_before"]
    assert card["versions"]["trl"]
    assert card["evaluation"]["loss"] == pytest.approx(card["result"]["held_out_after"], abs=1e-4)
    assert 0 < card["evaluation"]["mean_token_accuracy"] <= 1


def test_the_program_runs_it_by_the_profile(home: Path) -> None:
    done = oss(home, "run", "--profile", "mine", "-n", HELD_OUT[0])
    assert is_captain(done.stdout)
    off = oss(home, "run", "--profile", "mine", "-n", "--adapter", "mine:0", HELD_OUT[0])
    assert not sounds_like_captain(off.stdout)


def test_it_is_whole_and_merges(home: Path, tmp_path: Path) -> None:
    found = json.loads(oss(home, "adapter", "verify", "mine", "--json").stdout)
    assert found["tensors"] == 420
    oss(home, "adapter", "merge", "mine", "--gguf", "-o", str(tmp_path / "merged.gguf"))
    # The profile it was trained with, less the adapter: the persona is part of what it learned.
    done = oss(home, "run", "-p", "mine", "--set", "adapter=[]", "-n", "-m",
               str(tmp_path / "merged.gguf"), HELD_OUT[0])  # fmt: skip
    assert is_captain(done.stdout)
