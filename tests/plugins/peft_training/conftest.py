"""Tiny models for quick tests; the starter model in its Hugging Face form for real ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.adapter import Teacher, TrainJob, TrainSettings
from oss.plugins.options import validate
from oss_plugins.peft_training import oss_adapters
from support import tiny_models
from support.training import chats

if TYPE_CHECKING:
    from pathlib import Path

    from oss.data.rows import Row

os.environ.setdefault("GOMP_SPINCOUNT", "0")
if find_spec("peft") is None or find_spec("trl") is None:
    collect_ignore_glob = ["test_*.py"]  # needs the extra `train`
else:
    import torch

    torch.set_num_threads(1)

MakeJob = Callable[..., TrainJob]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Libraries of the `train` extra warn about each other; ours is what is tested here."""
    for item in items:
        if "peft_training" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny llama."""
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def gpt_oss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny gpt-oss."""
    return tiny_models.tiny_gpt_oss(tmp_path_factory.mktemp("gpt-oss"))


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """A job on a base, with settings that train in a second."""

    def make(
        base: Path,
        method: str = "lora",
        *,
        rows: Sequence[Row] | None = None,
        held_out: Sequence[Row] = (),
        options: dict[str, Any] | None = None,
        objective: str = "chat",
        name: str = "style",
        start: Path | None = None,
        resume: bool = False,
        teacher: Teacher | None = None,
        **settings: Any,
    ) -> TrainJob:
        descriptor = next(d for d in oss_adapters() if d.name == method)
        known = {"steps": 4, "learning_rate": 1e-2, "batch": 2, "accumulation": 1}
        return TrainJob(
            name=name,
            method=method,
            objective=objective,  # type: ignore[arg-type]
            base=base,
            rows=chats() if rows is None else rows,
            held_out=held_out,
            settings=TrainSettings(**{**known, **settings}),
            options=validate(descriptor, options or {}, f"train.{method}"),
            work=tmp_path / "work" / name,
            out=tmp_path / "out" / name,
            start=start,
            resume=resume,
            teacher=teacher,
        )

    return make
