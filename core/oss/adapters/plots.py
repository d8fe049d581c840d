"""The loss of a training run, drawn in text or as a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError, ModelError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from oss.adapters.registry import Adapter

_WIDTH, _HEIGHT = 60, 12
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def losses(adapter: Adapter) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Step and loss, in training and on the held-out part.

    :raises ModelError: the adapter brought no metrics with it.
    """
    file = adapter.folder / "metrics.jsonl"
    if not file.is_file():
        raise ModelError(
            f"adapter '{adapter.name}' has no metrics", hint="only `oss train` keeps them"
        )
    records = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return (
        [(each["step"], each["loss"]) for each in records if "loss" in each],
        [(each["step"], each["held_out_loss"]) for each in records if "held_out_loss" in each],
    )


def draw(adapter: Adapter) -> str:
    """The training loss in Braille dots, with its range."""
    points, _ = losses(adapter)
    if not points:
        return "no steps"
    values = [loss for _, loss in points]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    first, last = points[0][0], points[-1][0]
    cells = [[0x2800] * _WIDTH for _ in range(_HEIGHT)]
    for step, loss in points:
        x = round((step - first) / max(1, last - first) * (_WIDTH * 2 - 1))
        y = round((high - loss) / span * (_HEIGHT * 4 - 1))
        cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    lines = ["".join(map(chr, row)) for row in cells]
    lines[0] += f" {high:.3f}"
    lines[-1] += f" {low:.3f}"
    return "\n".join([*lines, f"step {first}{'':>{_WIDTH - len(str(first)) - 12}}step {last}"])


def save_png(adapter: Adapter, target: Path) -> None:
    """A picture of both losses.

    :raises ConfigError: matplotlib is not installed.
    :raises UsageError: ``target`` cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "a picture needs 'matplotlib'", hint="pip install matplotlib; `--plot` needs nothing"
        ) from error
    training, held_out = losses(adapter)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*training, strict=True), label="training", linewidth=1)
    if held_out:
        axes.plot(*zip(*held_out, strict=True), "o-", label="held out")
    axes.set(xlabel="step", ylabel="loss", title=adapter.name)
    axes.legend()
    try:
        figure.savefig(target, dpi=120)
    except (OSError, ValueError) as error:  # no such folder, or no such kind of picture
        raise UsageError(f"{target} cannot be written: {error}", hint="--png loss.png") from error
