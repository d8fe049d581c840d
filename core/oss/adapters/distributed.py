"""Several processes that train one adapter: their configuration files, and the command."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oss.contracts.adapter import Parallel, TrainSettings

DEEPSPEED = "deepspeed.json"
ACCELERATE = "accelerate.yaml"


def launch_command(processes: int, config: Path | None, arguments: Sequence[str]) -> list[str]:
    """The command line that runs ``oss`` with ``arguments`` in several processes.

    :param config: accelerate's configuration; ``None`` on a machine without a GPU, where torch's
        own launcher is taken: accelerate starts several CPU processes by MPI alone.
    """
    if config is None:
        launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    else:
        launcher = ["accelerate.commands.launch", "--config_file", str(config)]
    return [sys.executable, "-m", *launcher, "-m", "oss", *arguments]


def cpu_environment(processes: int) -> dict[str, str]:
    """What keeps several processes from the same cores: two that both take all of them make a step
    twenty times as long, since OpenMP's threads spin while they wait.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"OMP_NUM_THREADS": str(max(1, (cores or 1) // processes)), "GOMP_SPINCOUNT": "0"}


def write_config(
    folder: Path, parallel: Parallel, processes: int, settings: TrainSettings
) -> tuple[Path, ...]:
    """Write what accelerate is to be started with; its own file first."""
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / ACCELERATE]
    document = accelerate_config(parallel, processes, settings)
    if parallel == "deepspeed":
        written.append(folder / DEEPSPEED)
        written[1].write_text(json.dumps(deepspeed_config(settings), indent=2) + "\n", "utf-8")
        document["deepspeed_config"]["deepspeed_config_file"] = str(written[1])
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    written[0].write_text(text, "utf-8")
    return tuple(written)


def accelerate_config(
    parallel: Parallel, processes: int, settings: TrainSettings
) -> dict[str, Any]:
    """The configuration of ``accelerate launch``."""
    common: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "main_training_function": "main",
        "machine_rank": 0,
        "num_machines": 1,
        "num_processes": processes,
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
    }
    if parallel == "fsdp2":
        return {
            **common,
            "distributed_type": "FSDP",
            # Weights are loaded in this precision, and what learns is kept in fp32.
            "mixed_precision": "no" if settings.precision == "fp32" else "bf16",
            # Which layers are wrapped is read off the model: its class names them.
            "fsdp_config": {
                "fsdp_version": 2,
                "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
                "fsdp_reshard_after_forward": True,
                "fsdp_offload_params": False,
                "fsdp_cpu_ram_efficient_loading": True,
                "fsdp_state_dict_type": "FULL_STATE_DICT",
                "fsdp_activation_checkpointing": settings.checkpointing,
            },
        }
    if parallel == "deepspeed":
        # No `mixed_precision`: accelerate wants it in DeepSpeed's own file alone.
        return {
            **common,
            "distributed_type": "DEEPSPEED",
            "deepspeed_config": {"zero3_init_flag": True},
        }
    kind = "MULTI_GPU" if processes > 1 else "NO"
    return {**common, "distributed_type": kind, "mixed_precision": "no"}


def deepspeed_config(settings: TrainSettings) -> dict[str, Any]:
    """ZeRO stage 3: weights, gradients and the optimiser's state in parts.

    ``auto`` is filled in by accelerate, so that a batch that memory halved stays right.
    """
    return {
        "bf16": {"enabled": settings.precision != "fp32"},
        "zero_optimization": {
            "stage": 3,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": settings.clip,
    }


def check_parallel(parallel: Parallel, method: str) -> None:
    """Refuse what cannot be trained in parts.

    :raises CapabilityError: the method looks at whole weights.
    """
    if parallel != "copies" and method in {"pissa", "adalora", "qlora"}:
        raise CapabilityError(
            f"method '{method}' looks at whole weights, which '{parallel}' takes apart",
            hint="take method 'lora', or train.parallel = \"copies\"",
        )
