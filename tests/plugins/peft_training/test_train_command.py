"""``oss train`` and ``oss adapter`` as a person uses them, on a tiny model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from oss.testing.captain import write_captain

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli

PROFILE = """\
# мой профиль
[model]
name = "{model}"  # the base
[train]
data = ["./примеры.jsonl"]
steps = {steps}
batch = 2
accumulation = 1
max_length = 512
save_every = 2
learning_rate = 5e-3
"""


@pytest.fixture
def mine(oss_cli: OssCli, llama: Path) -> Path:
    """A profile on the tiny model."""
    folder = oss_cli.home.path / "config" / "profiles"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(PROFILE.format(model=llama, steps=4), "utf-8")
    write_captain(folder / "примеры.jsonl")
    return folder / "mine.toml"


def test_from_examples_to_a_profile_that_uses_the_adapter(oss_cli: OssCli, mine: Path) -> None:
    done = oss_cli.run("train", "--profile", "mine").ok()
    assert done.stdout == ""
    assert "step 4/4" in done.stderr
    assert "loss on held-out examples" in done.stderr
    text = mine.read_text("utf-8")
    assert text.startswith("# мой профиль")
    assert "# the base" in text
    assert '[[adapter]]\npath = "mine"' in text
    rows = json.loads(oss_cli.run("adapter", "list", "--json").ok().stdout)
    assert [(row["name"], row["method"], row["gguf"]) for row in rows] == [("mine", "lora", True)]
    assert "mine" in oss_cli.run("adapter", "list").ok().stdout
    recipe = oss_cli.run("train", "--profile", "mine", "--axolotl").ok().stdout
    assert oss_cli.run("adapter", "export", "mine", "--to", "axolotl").ok().stdout == recipe
    oss_cli.run("adapter", "export", "mine", "--to", "axolotl", "-o", "a.yaml").ok()
    assert (oss_cli.home.cwd / "a.yaml").read_text("utf-8") == recipe
    shown = oss_cli.run("adapter", "show", "mine", "--plot").ok().stdout
    assert 'method = "lora"' in shown
    assert "step 4" in shown
    again = oss_cli.run("train", "--profile", "mine")
    assert again.code == 2
    assert "there is an adapter 'mine' already" in again.stderr
    assert "--replace" in again.stderr
    oss_cli.run("train", "--profile", "mine", "--replace", "--set", "train.lora.r=4").ok()
    verified = json.loads(oss_cli.run("adapter", "verify", "mine", "--json").ok().stdout)
    assert verified["change of logits"] > 0
    refused = oss_cli.run("adapter", "rm", "mine")
    assert refused.code == 6
    oss_cli.run("adapter", "rm", "mine", "--yes").ok()
    assert json.loads(oss_cli.run("adapter", "list", "--json").ok().stdout) == []


def test_plan_and_recipe_load_no_weights(oss_cli: OssCli, mine: Path, llama: Path) -> None:
    plan = json.loads(oss_cli.run("train", "--profile", "mine", "--plan", "--json").ok().stdout)
    assert plan["steps"] == 4
    assert 0 < plan["trainable"] < plan["parameters"]
    recipe = oss_cli.run("train", "--profile", "mine", "--recipe").ok().stdout
    assert "steps = 4" in recipe
    assert "# twice r: 'LoRA Without Regret'" in recipe
    table = oss_cli.run("train", "--profile", "mine", "--plan").ok().stdout
    assert "learns" in table
    assert "--timed" in table
    timed = oss_cli.run("train", "--profile", "mine", "--timed", "--json").ok()
    assert json.loads(timed.stdout)["seconds"] > 0
    assert json.loads(oss_cli.run("adapter", "list", "--json").ok().stdout) == []
    axolotl = oss_cli.run("train", "--profile", "mine", "--axolotl").ok().stdout
    assert "lora_target_linear: true" in axolotl
    assert "micro_batch_size: 2" in axolotl
    methods = oss_cli.run("train", "--methods").ok().stdout
    assert "adalora" in methods


def test_the_recipe_is_a_profile_again(oss_cli: OssCli, mine: Path) -> None:
    recipe = oss_cli.run("train", "--profile", "mine", "--recipe").ok().stdout
    again = mine.with_name("again.toml")
    again.write_text(recipe, "utf-8")
    oss_cli.run("profile", "check", "again").ok()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "train.method=lroa"], 3, "lora"),
        (["--set", "train.lora.targets=['q_prj']"], 2, "matches nothing"),
        (["--set", "train.max_length=8"], 2, "none of the"),
        (["--set", "train.objective=dpo"], 2, "cannot be learned with objective 'dpo'"),
        (["--data", "gone.jsonl"], 2, "no such file"),
        (["--data", "broken.jsonl"], 2, "broken.jsonl:2"),
        (["--data", "empty.jsonl"], 2, "no usable row"),
        (["--name", "../x"], 2, "cannot be the name"),
        (["--resume"], 2, "no checkpoint"),
        (["--set", "train.method=qlora"], 5, "GPU"),
        (["--set", "train.start=gone"], 4, "no adapter 'gone'"),
        (["--set", "train.report_to=['tensorbord']"], 3, "'tensorboard'"),
    ],
)
def test_what_is_wrong_is_one_line(
    oss_cli: OssCli, mine: Path, arguments: list[str], code: int, words: str
) -> None:
    row = '{"prompt": "a", "completion": "b"}\n'
    (oss_cli.home.cwd / "broken.jsonl").write_text(row + '{"prompt": \n' + row)
    (oss_cli.home.cwd / "empty.jsonl").write_text("\n")
    done = oss_cli.run("train", "--profile", "mine", *arguments)
    assert done.code == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(oss_cli.run("adapter", "list", "--json").ok().stdout) == []


def start(oss_cli: OssCli) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "oss", "train", "--profile", "mine"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("checkpoint at step 4"):
            return process
    raise AssertionError("no checkpoint was made")


def test_ctrl_c_saves_and_says_how_to_go_on(oss_cli: OssCli, mine: Path, llama: Path) -> None:
    mine.write_text(PROFILE.format(model=llama, steps=400), "utf-8")
    process = start(oss_cli)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 130, rest
    assert "--resume" in rest
    assert json.loads(oss_cli.run("adapter", "list", "--json").ok().stdout) == []
    step = int(rest.rpartition("stopped after step ")[2].split()[0])
    mine.write_text(PROFILE.format(model=llama, steps=400), "utf-8")
    wrong = oss_cli.run("train", "-p", "mine", "--resume", "--set", "train.steps=401")
    assert "other settings" in wrong.stderr
    assert step >= 4


def test_a_killed_process_leaves_no_adapter_and_can_be_resumed(
    oss_cli: OssCli, mine: Path, llama: Path
) -> None:
    mine.write_text(PROFILE.format(model=llama, steps=30), "utf-8")
    process = start(oss_cli)
    time.sleep(0.05)
    process.kill()
    process.communicate()
    assert json.loads(oss_cli.run("adapter", "list", "--json").ok().stdout) == []
    done = oss_cli.run("train", "--profile", "mine", "--resume").ok()
    assert "going on from step" in done.stderr
    assert "step 30/30" in done.stderr


def test_an_adapter_made_elsewhere(oss_cli: OssCli, mine: Path, llama: Path, gpt_oss: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from oss_plugins.peft_training.base import load_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    elsewhere = oss_cli.home.cwd / "elsewhere"
    get_peft_model(load_model(llama, "fp32"), config).save_pretrained(elsewhere)
    oss_cli.run("adapter", "import", "elsewhere", "--model", str(llama)).ok()
    verified = oss_cli.run("adapter", "verify", "elsewhere", "--json").ok()
    assert json.loads(verified.stdout)["tensors"] == 4
    other = oss_cli.run("adapter", "import", "elsewhere", "-n", "x", "--model", str(gpt_oss))
    assert other.code == 4
    assert "does not fit" in other.stderr
    wrong = oss_cli.run("adapter", "verify", "elsewhere", "--model", str(gpt_oss))
    assert wrong.code == 4
    assert "was made for" in wrong.stderr or "does not fit" in wrong.stderr
    (elsewhere / "adapter_model.safetensors").rename(elsewhere / "adapter_model.bin")
    pickled = oss_cli.run("adapter", "import", "elsewhere", "-n", "y", "--model", str(llama))
    assert "pickle" in pickled.stderr
    oss_cli.run("adapter", "export", "elsewhere", "--to", "merged-hf", "-o", "merged").ok()
    assert (oss_cli.home.cwd / "merged" / "model.safetensors").is_file()
    diff = oss_cli.run("adapter", "diff", "elsewhere", "elsewhere").ok()
    assert "no difference" in diff.stderr


REWARD = "def score(answer):\n    return float(len(answer))\n"


def test_a_reward_runs_when_it_was_allowed(oss_cli: OssCli, mine: Path) -> None:
    mine.with_name("reward.py").write_text(REWARD)
    mine.with_name("примеры.jsonl").write_text('{"prompt": "say 1"}\n' * 2)
    text = mine.read_text("utf-8").replace("batch = 2", "batch = 2\nheld_out_share = 0")
    mine.write_text(f'{text}objective = "grpo"\nreward = "./reward.py:score"\n', "utf-8")
    known = ("train", "-p", "mine", "--set", "train.max_length=16", "--set", "train.steps=2")
    refused = oss_cli.run(*known)
    assert refused.code == 6
    assert "--allow-reward" in refused.stderr
    done = oss_cli.run(*known, "--allow-reward").ok()
    assert "step 2/2" in done.stderr


def test_two_processes_learn_the_same_as_one(oss_cli: OssCli, mine: Path) -> None:
    shown = oss_cli.run("train", "--profile", "mine", "--launch", "0").ok()
    assert shown.stdout.rstrip().endswith("-m oss train --profile mine")
    known = ("train", "--profile", "mine", "--no-use", "--name")
    oss_cli.run(*known, "one").ok()
    oss_cli.run(*known, "two", "--launch", "2").ok()
    losses = []
    for name in ("one", "two"):
        card = json.loads(oss_cli.run("adapter", "show", name, "--json").ok().stdout)
        losses.append((card["result"]["loss"], card["result"]["held_out_after"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    uneven = oss_cli.run(*known, "three", "--set", "train.batch=3", "--launch", "2")
    assert uneven.code != 0
    assert "cannot be shared" in uneven.stderr


def test_a_profile_teaches_another(oss_cli: OssCli, mine: Path, llama: Path) -> None:
    oss_cli.run("train", "--profile", "mine", "--set", "train.steps=12").ok()
    student = mine.with_name("ученик.toml")
    student.write_text(PROFILE.format(model=llama, steps=12) + 'teacher = "mine"\n', "utf-8")
    plan = oss_cli.run("train", "-p", "ученик", "--plan").ok().stdout
    assert "objective distill" in plan
    done = oss_cli.run("train", "-p", "ученик").ok()
    before, after = re.findall(r"held-out examples: ([\d.]+) before, ([\d.]+) after", done.stderr)[
        0
    ]
    assert float(after) < float(before)
    mine.write_text(mine.read_text("utf-8") + "scale = 0.5\n", "utf-8")
    refused = oss_cli.run("train", "-p", "ученик", "--replace")
    assert refused.code == 5
    assert "scale 1" in refused.stderr


def test_configurations_of_several_gpus_are_written_and_named(oss_cli: OssCli, mine: Path) -> None:
    known = ("train", "-p", "mine", "--set")
    shown = oss_cli.run(*known, "train.parallel=fsdp2", "--launch", "0").ok()
    file = oss_cli.home.data / "training" / "mine" / "accelerate.yaml"
    assert f"--config_file {file}" in shown.stdout
    assert "fsdp_version: 2" in file.read_text("utf-8")
    here = oss_cli.run(*known, "train.parallel=deepspeed", "--launch", "4")
    assert here.code == 5
    assert "GPU" in here.stderr
    assert (file.parent / "deepspeed.json").is_file()
    whole = oss_cli.run(*known, "train.parallel=fsdp2", "--set", "train.method=pissa", "--launch=0")
    assert whole.code == 5


def test_faults_of_the_data_stop_it_with_their_lines(oss_cli: OssCli, mine: Path) -> None:
    good = '{"prompt": "a", "completion": "b"}\n'
    (oss_cli.home.cwd / "s.jsonl").write_text(good + '{"prompt": "k", "completion": ""}\n', "utf-8")
    (oss_cli.home.cwd / "h.jsonl").write_text('{"prompt": "A ", "completion": "c"}\n', "utf-8")
    (oss_cli.home.cwd / "g.jsonl").write_text(good, "utf-8")
    empty = oss_cli.run("train", "-p", "mine", "-d", "s.jsonl", "--plan")
    assert empty.code == 2
    assert "s.jsonl:2" in empty.stderr
    held_out = f"train.held_out=['{oss_cli.home.cwd}/h.jsonl']"
    leak = oss_cli.run("train", "-p", "mine", "-d", "g.jsonl", "--set", held_out, "--plan")
    assert leak.code == 2
    assert "g.jsonl:1" in leak.stderr
    assert "held-out" in leak.stderr
