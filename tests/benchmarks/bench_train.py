"""What `oss train` costs over a bare TRL script with the same settings, and what grouping gains.

Each measurement is a process of its own on the starter model in its Hugging Face form
(``--base FOLDER``; `oss model convert starter --to hf` makes it).
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
from typing import Any

from common import Ratio, parser, report

STEPS = 6
SETTINGS = {"batch": 4, "accumulation": 1, "max_length": 256, "learning_rate": 5e-4}
BEGUN = float(os.environ.get("BENCH_BEGUN", time.time()))


def texts(mixed: bool) -> list[str]:
    """Texts of about 120 words, or of 4 to 160."""
    lengths = [4 + n * 37 % 157 for n in range(48)] if mixed else [120] * 48
    return [" ".join(f"word{(n * 7 + m) % 90}" for m in range(k)) for n, k in enumerate(lengths)]


def bare(base: Path, work: Path) -> None:
    """The script that one would write with TRL."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            times.append(time.time())

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            times.append(time.time())

    import torch

    config = SFTConfig(
        str(work), max_steps=STEPS, per_device_train_batch_size=SETTINGS["batch"],
        max_length=SETTINGS["max_length"], learning_rate=SETTINGS["learning_rate"], bf16=False,
        gradient_checkpointing=False, report_to="none", save_strategy="no", logging_steps=1,
        disable_tqdm=True,
    )  # fmt: skip
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        config,
        train_dataset=Dataset.from_dict({"text": texts(False)}),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
        callbacks=[Clock()],
    )
    trainer.train()
    tell(times)


def ours(base: Path, work: Path, **settings: Any) -> None:
    """The same through the plugin."""
    from oss.contracts.adapter import TrainJob, TrainSettings
    from oss.data import Origin, Text
    from oss.plugins.options import validate
    from oss_plugins.peft_training import oss_adapters, watching
    from oss_plugins.peft_training.methods import method_of

    times: list[float] = []
    begin = watching.Watch.on_step_begin

    def clocked(self: Any, *args: Any, **kwargs: Any) -> None:
        times.append(time.time())
        begin(self, *args, **kwargs)

    watching.Watch.on_step_begin = clocked  # type: ignore[method-assign]
    watching.Watch.on_train_end = lambda *_, **__: times.append(time.time())  # type: ignore[attr-defined]
    mixed = settings.pop("mixed", False)
    rows = [Text(text, Origin("bench", n)) for n, text in enumerate(texts(mixed))]
    known: dict[str, Any] = {"steps": STEPS, "group_by_length": False, **SETTINGS}
    job = TrainJob(
        "bench", "lora", "text", base, rows, (), TrainSettings(**{**known, **settings}),
        validate(oss_adapters()[0], {}, "train.lora"), work, work / "out",
    )  # fmt: skip
    done = method_of("lora").train(job, lambda event: None, lambda: False)
    tell(times, tokens=done.tokens)


def tell(times: list[float], tokens: int = 0) -> None:
    """The figures of this process, for the one that started it."""
    steps = [b - a for a, b in itertools.pairwise(times)]
    print(
        json.dumps(
            {
                "step": statistics.median(steps[1:]),
                "whole": times[-1] - times[0],
                "first": times[0] - BEGUN,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "tokens": tokens,
            }
        )
    )


KINDS: dict[str, Any] = {
    "bare": bare,
    "ours": ours,
    "padded": lambda base, work: ours(base, work, mixed=True, steps=12),
    "grouped": lambda base, work: ours(base, work, mixed=True, steps=12, group_by_length=True),
}


def measure(kind: str, base: Path) -> dict[str, float]:
    """Run one kind in a process of its own."""
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(
            [sys.executable, __file__, "--base", str(base), "--worker", kind, "--work", work],
            env={**os.environ, "BENCH_BEGUN": str(time.time()), "GOMP_SPINCOUNT": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure all kinds in turn and print ratios."""
    arguments = parser(__doc__ or "", rounds=3)
    arguments.add_argument("--base", type=Path, required=True, help="a Hugging Face folder")
    arguments.add_argument("--worker", choices=KINDS, help="one measurement")
    arguments.add_argument("--work", type=Path, help="scratch folder of a measurement")
    given = arguments.parse_args()
    if given.worker:
        KINDS[given.worker](given.base, given.work)
        return
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(given.rounds):
        for kind in KINDS:
            found[kind].append(measure(kind, given.base))

    def middle(kind: str, figure: str) -> float:
        return statistics.median(each[figure] for each in found[kind])

    def ratio(name: str, figure: str, one: str, two: str, unit: str, limit: str) -> Ratio:
        return Ratio(name, middle(one, figure), middle(two, figure), unit, given.rounds, limit)

    report(
        [
            ratio("time of a step, over bare TRL", "step", "ours", "bare", "s", "<= 1.03"),
            ratio("peak memory, over bare TRL", "peak", "ours", "bare", "MB", "<= 1.03"),
            ratio("start to first step, over bare TRL", "first", "ours", "bare", "s", "<= 1.15"),
            ratio("padding over grouping by length", "whole", "padded", "grouped", "s", ">= 1.3"),
        ],
        as_json=given.json,
    )


if __name__ == "__main__":
    main()
