"""``oss train --launch``: the same command in several processes, through accelerate."""

from __future__ import annotations

import os
import shlex
import subprocess
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from oss.contracts.errors import CapabilityError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.adapters.training import Prepared
    from oss.contracts.adapter import Parallel


def launch_training(
    prepared: Prepared, parallel: Parallel, processes: int, arguments: Sequence[str]
) -> int:
    """Run the command without ``--launch`` in ``processes`` processes; 0 prints it for two.

    The configuration that it names is written beside the checkpoints of the adapter, also when
    the command is only printed.

    :raises ConfigError: accelerate is not installed.
    :raises CapabilityError: a model in parts is wanted, and there is no GPU.
    """
    from oss.adapters.distributed import (
        check_parallel,
        cpu_environment,
        launch_command,
        write_config,
    )
    from oss.models import machine_memory

    if find_spec("accelerate") is None:
        raise ConfigError(
            "--launch needs 'accelerate', which is not installed",
            hint="pip install 'oss-workbench[train]'",
        )
    check_parallel(parallel, prepared.recipe.method)
    number = processes or 2
    has_gpu = machine_memory().gpu_total > 0
    config = None
    if has_gpu or parallel != "copies":
        written = write_config(prepared.job.work, parallel, number, prepared.job.settings)
        config = written[0]
        for file in written:
            click.echo(f"written: {file}", err=True)
    command = launch_command(number, config, without_launch(arguments))
    own = cpu_environment(number) if config is None else {}
    settings = "".join(f"{name}={value} " for name, value in own.items())
    click.echo(f"{settings}{shlex.join(command)}", err=processes > 0)
    if not processes:
        return 0
    if config is not None and not has_gpu:
        raise CapabilityError(
            f"there is no GPU here, and '{parallel}' needs one for each process",
            hint='the printed command runs where there are; here: train.parallel = "copies"',
        )
    if parallel == "deepspeed" and find_spec("deepspeed") is None:
        raise ConfigError("'deepspeed' is not installed", hint="pip install deepspeed")
    return subprocess.run(command, env={**own, **os.environ}, check=False).returncode


def without_launch(arguments: Sequence[str]) -> list[str]:
    """The command line as each process gets it."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--launch":
            skip = True
        elif not argument.startswith("--launch="):
            kept.append(argument)
    return kept
