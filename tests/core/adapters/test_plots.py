"""The loss as dots in a terminal, and as a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oss.adapters import BaseCard, Card, find_adapter, staged
from oss.adapters.plots import draw, losses, save_png
from oss.contracts.errors import ModelError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from oss.adapters.registry import Adapter
    from oss.testing.program import OssHome


@pytest.fixture
def adapter(oss_home: OssHome) -> Adapter:
    """An adapter whose loss falls from 3 to 1, looked at twice."""
    records: list[dict[str, float]] = [{"step": n, "loss": 3 - n / 5} for n in range(1, 11)]
    records[5:5] = [{"step": 5, "held_out_loss": 2.5}]
    with staged("капитан") as (folder, finish):
        lines = "".join(f"{json.dumps(record)}\n" for record in records)
        (folder / "metrics.jsonl").write_text(lines, "utf-8")
        finish(Card(name="капитан", method="lora", base=BaseCard(name="starter")))
    return find_adapter("капитан")


def test_dots_fall_from_the_left_to_the_right(adapter: Adapter) -> None:
    assert losses(adapter)[1] == [(5, 2.5)]
    lines = draw(adapter).splitlines()
    assert lines[0].endswith(" 2.800")
    assert lines[-2].endswith(" 1.000")
    assert lines[-1].split() == ["step", "1", "step", "10"]
    assert lines[0][0] != "\u2800"
    assert lines[-2][59] != "\u2800"


def test_a_picture(adapter: Adapter, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    save_png(adapter, tmp_path / "потери.png")
    assert (tmp_path / "потери.png").read_bytes().startswith(b"\x89PNG")
    for target in (tmp_path / "gone" / "x.png", tmp_path / "x.unheard"):
        with pytest.raises(UsageError, match="cannot be written"):
            save_png(adapter, target)


def test_an_adapter_without_metrics(adapter: Adapter) -> None:
    (adapter.folder / "metrics.jsonl").unlink()
    with pytest.raises(ModelError, match="no metrics"):
        draw(adapter)
