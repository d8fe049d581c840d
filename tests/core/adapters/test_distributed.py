"""What `oss train --launch` writes is what accelerate reads."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from oss.adapters.distributed import (
    accelerate_config,
    check_parallel,
    cpu_environment,
    launch_command,
    write_config,
)
from oss.cli.train_launch import without_launch
from oss.contracts.adapter import TrainSettings
from oss.contracts.errors import CapabilityError

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.adapter import Parallel

SETTINGS = TrainSettings(steps=1, learning_rate=1e-4, clip=0.5, checkpointing=True)


def test_fsdp2_splits_the_model(tmp_path: Path) -> None:
    (file,) = write_config(tmp_path / "папка", "fsdp2", 4, SETTINGS)
    found = yaml.safe_load(file.read_text("utf-8"))
    assert found["distributed_type"] == "FSDP"
    assert found["num_processes"] == 4
    assert found["fsdp_config"]["fsdp_version"] == 2
    assert found["fsdp_config"]["fsdp_activation_checkpointing"] is True
    assert found["mixed_precision"] == "bf16"
    exact = accelerate_config("fsdp2", 2, TrainSettings(1, 1e-4, precision="fp32"))
    assert exact["mixed_precision"] == "no"


def test_deepspeed_has_a_file_of_its_own(tmp_path: Path) -> None:
    file, own = write_config(tmp_path, "deepspeed", 2, SETTINGS)
    found = yaml.safe_load(file.read_text("utf-8"))
    assert found["deepspeed_config"]["deepspeed_config_file"] == str(own)
    assert "mixed_precision" not in found  # accelerate refuses it beside a file of DeepSpeed's
    settings = json.loads(own.read_text("utf-8"))
    assert settings["zero_optimization"]["stage"] == 3
    assert settings["gradient_clipping"] == 0.5
    assert settings["bf16"]["enabled"] is True


@pytest.mark.torch
@pytest.mark.parametrize("parallel", ["copies", "fsdp2", "deepspeed"])
def test_accelerate_takes_it(tmp_path: Path, parallel: Parallel) -> None:
    args = pytest.importorskip("accelerate.commands.config.config_args")
    launch = pytest.importorskip("accelerate.commands.launch")
    file = write_config(tmp_path, parallel, 2, SETTINGS)[0]
    found = args.load_config_from_file(str(file))  # refuses keys that it does not know
    kinds = {"copies": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed": "DEEPSPEED"}
    assert found.distributed_type.value == kinds[parallel]
    assert found.num_processes == 2
    # Each key of the nested table is an argument of `accelerate launch`.
    given = launch.launch_command_parser().parse_args(["--config_file", str(file), "x.py"])
    nested: dict[str, Any] = {**found.fsdp_config, **found.deepspeed_config}
    assert not [key for key in nested if not hasattr(given, key)]


def test_the_command(tmp_path: Path) -> None:
    assert launch_command(2, None, ["train"]) == [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        "-m", "oss", "train",
    ]  # fmt: skip
    command = launch_command(2, tmp_path / "a.yaml", ["train"])
    assert command[2:5] == ["accelerate.commands.launch", "--config_file", str(tmp_path / "a.yaml")]
    assert without_launch(["train", "--launch", "2", "-p", "x"]) == ["train", "-p", "x"]
    assert without_launch(["train", "--launch=2", "--plan"]) == ["train", "--plan"]


def test_processes_on_the_same_cores_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that take all of them spin against each other: a step of two seconds took forty."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert cpu_environment(4) == {"OMP_NUM_THREADS": "4", "GOMP_SPINCOUNT": "0"}
    assert cpu_environment(32)["OMP_NUM_THREADS"] == "1"


def test_methods_that_look_at_whole_weights_are_refused() -> None:
    check_parallel("copies", "pissa")
    check_parallel("fsdp2", "lora")
    with pytest.raises(CapabilityError, match="pissa"):
        check_parallel("fsdp2", "pissa")
