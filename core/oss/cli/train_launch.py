"""``oss train --launch``: the same command in several processes, through accelerate."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from oss.contracts.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


def launch_training(processes: int, arguments: Sequence[str]) -> int:
    """Run the command without ``--launch`` in ``processes`` processes; 0 prints it for two.

    :raises ConfigError: accelerate is not installed.
    """
    if find_spec("accelerate") is None:
        raise ConfigError(
            "--launch needs 'accelerate', which is not installed",
            hint="pip install 'oss-workbench[train]'",
        )
    command = launch_command(processes or 2, _without_launch(arguments))
    click.echo(shlex.join(command), err=processes > 0)
    if not processes:
        return 0
    return subprocess.run(command, check=False).returncode


def launch_command(processes: int, arguments: Sequence[str]) -> list[str]:
    """The command line. On GPUs through accelerate, one process each; without one through torch's
    own launcher, since accelerate starts several CPU processes by MPI alone.
    """
    if _has_gpu():
        launcher = ["accelerate.commands.launch", "--num_processes", str(processes)]
        launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        launcher += ["--multi_gpu"] if processes > 1 else []
    else:
        launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    return [sys.executable, "-m", *launcher, "-m", "oss", *arguments]


def _has_gpu() -> bool:
    from oss.models import machine_memory

    return machine_memory().gpu_total > 0


def _without_launch(arguments: Sequence[str]) -> list[str]:
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
