"""What `oss train` costs over a bare TRL script with the same settings, what packing and grouping
by length gain over padding, and how long a plan takes.

Each measurement is a process of its own on the starter model in its Hugging Face form
(``--base FOLDER``; `oss model convert starter --to hf` makes it). A figure in `CPU s` counts
seconds of the processor, which other programs on the same cores disturb less than the clock.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Ratio, parser, report

if TYPE_CHECKING:
    from oss.contracts.adapter import TrainJob

STEPS = 8
SETTINGS: dict[str, Any] = {
    "batch": 2, "accumulation": 1, "max_length": 160, "learning_rate": 5e-4, "steps": STEPS,
}  # fmt: skip
# Four batches of eight see each text once; packed, the same tokens are two batches.
MIXED: dict[str, Any] = {"batch": 8, "steps": 4, "max_length": 160}
PACKED_STEPS = 2
ROWS = 32
BEGUN = float(os.environ.get("BENCH_BEGUN", time.time()))


def texts(mixed: bool) -> list[str]:
    """Texts of 50 words, all of the same number of tokens; or of 4 to 50 words, few of them long,
    as conversations are.
    """
    lengths = [4 + round(46 * (n * 37 % ROWS / ROWS) ** 3) if mixed else 50 for n in range(ROWS)]
    return [
        " ".join(f"word{10 + (n * 7 + m) % 80}" for m in range(k)) for n, k in enumerate(lengths)
    ]


class Clock:
    """Notes when each step begins, by the clock and by the processor."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    def tick(self) -> None:
        """A step begins, or the last one has ended."""
        self.times.append((time.time(), time.process_time()))

    def tell(self, tokens: int = 0) -> None:
        """The figures of this process, for the one that started it."""
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(self.times)]
        print(
            json.dumps(
                {
                    "step": statistics.median(wall for wall, _ in steps[1:]),
                    "step_cpu": statistics.median(cpu for _, cpu in steps[1:]),
                    "whole": self.times[-1][0] - self.times[0][0],
                    "whole_cpu": self.times[-1][1] - self.times[0][1],
                    "first": self.times[0][0] - BEGUN,
                    "first_cpu": self.times[0][1],
                    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                    "tokens": tokens,
                }
            )
        )


def bare(base: Path, work: Path) -> None:
    """The script that one would write with TRL."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    clock = Clock()

    class Ticks(TrainerCallback):
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            clock.tick()

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            clock.tick()

    config = SFTConfig(
        str(work), max_steps=STEPS, per_device_train_batch_size=SETTINGS["batch"],
        max_length=SETTINGS["max_length"], learning_rate=SETTINGS["learning_rate"], bf16=False,
        gradient_checkpointing=False, report_to="none", save_strategy="no", logging_steps=1,
        disable_tqdm=True, seed=0, data_seed=0,
    )  # fmt: skip
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        config,
        train_dataset=Dataset.from_dict({"text": texts(False)}),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
        callbacks=[Ticks()],
    )
    trainer.train()
    clock.tell()


def a_job(base: Path, work: Path, *, mixed: bool = False, **settings: Any) -> TrainJob:
    """The same as a job of the plugin."""
    from oss.contracts.adapter import TrainJob, TrainSettings
    from oss.data import Origin, Text
    from oss.plugins.options import validate
    from oss_plugins.peft_training import oss_adapters

    rows = [Text(text, Origin("bench", n)) for n, text in enumerate(texts(mixed))]
    known = {"group_by_length": False, **SETTINGS, **(MIXED if mixed else {}), **settings}
    return TrainJob(
        "bench", "lora", "text", base, rows, (), TrainSettings(**known),
        validate(oss_adapters()[0], {}, "train.lora"), work, work / "out",
    )  # fmt: skip


def ours(base: Path, work: Path, **settings: Any) -> None:
    """The same through the plugin."""
    from oss_plugins.peft_training import watching
    from oss_plugins.peft_training.methods import method_of

    clock = Clock()
    begin = watching.Watch.on_step_begin

    def clocked(self: Any, *args: Any, **kwargs: Any) -> None:
        clock.tick()
        begin(self, *args, **kwargs)

    watching.Watch.on_step_begin = clocked  # type: ignore[method-assign]
    watching.Watch.on_train_end = lambda *_, **__: clock.tick()  # type: ignore[attr-defined]
    job = a_job(base, work, **settings)
    done = method_of("lora").train(job, lambda event: None, lambda: False)
    clock.tell(tokens=done.tokens)


def plan(base: Path, work: Path) -> None:
    """A plan, after the libraries that it needs are imported."""
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM  # noqa: F401

    import peft  # noqa: F401  # isort: skip

    job = a_job(base, work)
    before = (time.time(), time.process_time())
    from oss_plugins.peft_training.methods import method_of

    method_of("lora").plan(job)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = {"plan": time.time() - before[0], "plan_cpu": time.process_time() - before[1]}
    print(json.dumps({**spent, "peak": peak}))


KINDS: dict[str, Any] = {
    "bare": bare,
    "ours": ours,
    "padded": lambda base, work: ours(base, work, mixed=True),
    "grouped": lambda base, work: ours(base, work, mixed=True, group_by_length=True),
    "packed": lambda base, work: ours(base, work, mixed=True, packing=True, steps=PACKED_STEPS),
    "plan": plan,
}

FIGURES = (
    ("time of a step, over bare TRL", "ours", "bare", "step", "s", "<= 1.03"),
    ("work of a step, over bare TRL", "ours", "bare", "step_cpu", "CPU s", "<= 1.03"),
    ("peak memory, over bare TRL", "ours", "bare", "peak", "MB", "<= 1.03"),
    ("start to first step, over bare TRL", "ours", "bare", "first", "s", "<= 1.15"),
    ("work before it, over bare TRL", "ours", "bare", "first_cpu", "CPU s", "<= 1.15"),
    ("padding, over grouping by length", "padded", "grouped", "whole", "s", ">= 1.3"),
    ("its work, over grouping by length", "padded", "grouped", "whole_cpu", "CPU s", ">= 1.3"),
    ("padding, over packing", "padded", "packed", "whole", "s", ">= 1.3"),
    ("its work, over packing", "padded", "packed", "whole_cpu", "CPU s", ">= 1.3"),
)


def measure(kind: str, base: Path) -> dict[str, float]:
    """Run one kind in a process of its own."""
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(
            [sys.executable, __file__, "--base", str(base), "--worker", kind, "--work", work],
            env={**os.environ, "BENCH_BEGUN": str(time.time()), "GOMP_SPINCOUNT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure the kinds in turn and print ratios."""
    arguments = parser(__doc__ or "", rounds=3)
    arguments.add_argument("--base", type=Path, required=True, help="a Hugging Face folder")
    arguments.add_argument("--kinds", default=",".join(KINDS), help="these alone")
    arguments.add_argument("--worker", choices=KINDS, help="one measurement")
    arguments.add_argument("--work", type=Path, help="scratch folder of a measurement")
    given = arguments.parse_args()
    if given.worker:
        KINDS[given.worker](given.base, given.work)
        return
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in given.kinds.split(",")}
    for _ in range(given.rounds):
        for kind, results in found.items():
            results.append(measure(kind, given.base))
            print(kind, json.dumps(results[-1]), file=sys.stderr, flush=True)
    learned = {r["tokens"] for kind in ("padded", "grouped", "packed") for r in found.get(kind, ())}
    if len(learned) > 1:
        raise SystemExit(f"the kinds did not learn the same tokens: {sorted(learned)}")

    def middle(kind: str, figure: str) -> float:
        return statistics.median(each[figure] for each in found[kind])

    ratios = [
        Ratio(name, middle(one, figure), middle(two, figure), unit, given.rounds, limit)
        for name, one, two, figure, unit, limit in FIGURES
        if {one, two} <= found.keys()
    ]
    if "plan" in found:
        for name, figure, unit in (("a plan", "plan", "s"), ("its work", "plan_cpu", "CPU s")):
            spent = middle("plan", figure)
            name = f"{name}, over a second"
            ratios.append(Ratio(name, spent, 1.0, unit, given.rounds, "<= 1.5"))
    report(ratios, as_json=given.json)


if __name__ == "__main__":
    main()
