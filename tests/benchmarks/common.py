"""For benchmarks: programs run in turn, medians, ratios.

Each ``bench_*.py`` here is a script: ``python tests/benchmarks/bench_startup.py [--json]``. It
prints one line per figure, ``name ratio (details)``, or one JSON object. Times of different runs
are not compared; a ratio has both its sides measured in turn within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Programs are measured as pip installs them, with their byte code beside them; the first round,
# which is not kept, writes what is missing.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@dataclass(frozen=True)
class Ratio:
    """``value`` of one thing over ``base`` of another, both medians of ``rounds`` measurements.

    :param limit: what the ratio should keep to, as text (``<= 2.0``); printed, not enforced.
    """

    name: str
    value: float
    base: float
    unit: str
    rounds: int
    limit: str = ""

    @property
    def ratio(self) -> float:
        """``value`` over ``base``."""
        return self.value / self.base

    def __str__(self) -> str:
        limit = f", wanted {self.limit}" if self.limit else ""
        return (
            f"{self.name} {self.ratio:.3f} "
            f"({self.value:.4g} {self.unit} over {self.base:.4g} {self.unit}, "
            f"medians of {self.rounds}{limit})"
        )


def interleaved(
    measures: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Call every measure once per round, in turn, so that a slow spell of the machine falls on
    all of them; ``warm_up`` further rounds come first and are not kept.
    """
    found: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(-warm_up, rounds):
        for name, measure in measures.items():
            value = measure()
            if turn >= 0:
                found[name].append(value)
    return found


def seconds(command: Sequence[str], env: Mapping[str, str] | None = None) -> Callable[[], float]:
    """Measures a whole process, in seconds; one that fails stops the benchmark."""

    def measure() -> float:
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=env)
        return time.perf_counter() - begun

    return measure


def ratio(
    name: str,
    found: Mapping[str, Sequence[float]],
    value: str,
    base: str,
    *,
    unit: str = "s",
    limit: str = "",
) -> Ratio:
    """The ratio of two measures of :func:`interleaved`."""
    return Ratio(
        name,
        statistics.median(found[value]),
        statistics.median(found[base]),
        unit,
        len(found[value]),
        limit,
    )


def parser(description: str, rounds: int) -> argparse.ArgumentParser:
    """The arguments that every benchmark takes; a benchmark may add its own."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--rounds", type=int, default=rounds, help="measurements of each")
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    return arguments


def report(ratios: Sequence[Ratio], as_json: bool) -> None:
    """Print the figures."""
    if as_json:
        figures = {r.name: {"ratio": round(r.ratio, 4), **asdict(r)} for r in ratios}
        json.dump(figures, sys.stdout, indent=2)
        print()
    else:
        for figure in ratios:
            print(figure)
