"""Adapters: small trained changes to a model, and the methods that make them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from oss.data.rows import Row

AdapterFormat = Literal["gguf", "peft"]
AdapterForm = Literal["gguf", "peft", "merged-hf", "merged-gguf"]
Objective = Literal[
    "chat", "text", "distill", "dpo", "ipo", "apo", "kto", "orpo", "simpo", "cpo", "grpo"
]
Parallel = Literal["copies", "fsdp2", "deepspeed"]


@dataclass(frozen=True)
class AdapterRef:
    """An adapter to open with a model: its name, where it lies, and how strongly it acts.

    ``path`` is a GGUF LoRA file or a PEFT folder. ``scale`` 1 is as trained, 0 is off.
    """

    name: str
    path: Path
    scale: float = 1.0

    @property
    def format(self) -> AdapterFormat:
        """By what lies at ``path``."""
        return "peft" if self.path.is_dir() else "gguf"


@dataclass(frozen=True)
class TrainSettings:
    """How training goes, whatever the method; every value is decided.

    :param steps: optimiser steps in all.
    :param batch: rows of one forward pass; times ``accumulation`` is the effective batch.
    :param max_length: tokens of the longest row; longer rows are refused or cut before.
    :param warmup: share of the steps in which the learning rate rises.
    :param save_every: steps between checkpoints; 0 saves at the end alone.
    :param evaluate_every: steps between looks at the held-out rows; 0 looks at the end alone.
    :param patience: looks without a better held-out loss before training stops; 0 never stops.
    :param precision: the number format of the weights in training; ``auto`` is fp32 on a CPU (where
        bf16 is slower) and bf16 on a GPU.
    :param beta: how closely preference training keeps to the model it starts from; for
        ``distill``, where between the teacher's (0) and the student's view (1) the distance of
        their probabilities is taken.
    :param sft_weight: share of the plain loss on the chosen answer in preference training.
    :param reward: ``file.py:function`` that scores answers for ``grpo``.
    """

    steps: int
    learning_rate: float
    batch: int = 4
    accumulation: int = 2
    max_length: int = 1024
    warmup: float = 0.03
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: float = 0.0
    clip: float = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpointing: bool = False
    packing: bool = False
    group_by_length: bool = True
    seed: int = 0
    save_every: int = 0
    evaluate_every: int = 0
    patience: int = 0
    beta: float = 0.1
    sft_weight: float = 1.0
    reward: str = ""
    report_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Teacher:
    """The model whose probabilities a student learns: its folder in the Hugging Face form, and
    folders of adapters on it.
    """

    base: Path
    adapters: tuple[Path, ...] = ()


@dataclass(frozen=True)
class TrainJob:
    """What a method needs to make an adapter.

    :param base: folder of the base model in its Hugging Face form.
    :param rows: what to learn; ``held_out`` is never learned, only looked at.
    :param options: the method's own, complete and validated.
    :param work: folder for checkpoints and metrics; a run that was stopped goes on from it.
    :param out: an empty folder to write the finished adapter's weights into.
    :param start: folder of an adapter to go on from, or ``None`` to start afresh.
    :param teacher: whose probabilities are learned, for ``distill``.
    """

    name: str
    method: str
    objective: Objective
    base: Path
    rows: Sequence[Row]
    held_out: Sequence[Row]
    settings: TrainSettings
    options: Mapping[str, Any]
    work: Path
    out: Path
    start: Path | None = None
    resume: bool = False
    teacher: Teacher | None = None


@dataclass(frozen=True)
class TrainPlan:
    """What a job would take, known without loading weights. Memory in bytes; tokens are those
    of one pass over the rows, ``learned_tokens`` those of them that the loss counts.
    """

    trainable: int
    parameters: int
    tokens: int
    learned_tokens: int
    longest: int
    steps: int
    epochs: float
    memory: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainStep:
    """One optimiser step. ``tokens`` counts those of this step, padding left out;
    ``seconds_left`` is ``None`` until a few steps are timed.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient: float
    epoch: float
    tokens: int
    tokens_per_second: float
    seconds_left: float | None = None
    extra: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainEvaluated:
    """The loss on the held-out rows after ``step`` steps."""

    step: int
    loss: float
    best: bool


@dataclass(frozen=True)
class TrainNotice:
    """Something the user should know: a checkpoint, a halved batch, an early stop."""

    message: str


TrainEvent = TrainStep | TrainEvaluated | TrainNotice


@dataclass(frozen=True)
class Trained:
    """What training came to. ``complete`` is false where a person stopped it.

    :param evaluation: figures of the held-out rows after the last step: ``loss``, and what else the
        objective measures (``mean_token_accuracy``, ``rewards/margins``).
    :param verified: how the adapter acts, where the method loaded it again and held it to the model
        that was trained; ``None`` where that cannot be done.
    """

    steps: int
    complete: bool
    loss: float
    held_out_before: float | None = None
    held_out_after: float | None = None
    seconds: float = 0.0
    tokens: int = 0
    batch: int = 0
    accumulation: int = 0
    evaluation: Mapping[str, float] = field(default_factory=dict)
    verified: Verified | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verified:
    """How an adapter acts on its base.

    :param change: mean absolute change of the logits; above 0 or the adapter does nothing.
    :param correlation: of the changes between two forms of the adapter, where two were compared.
    """

    change: float
    tensors: int
    correlation: float | None = None


class AdapterMethod(ABC):
    """One way of making adapters. Constructed without arguments; cheap.

    :cvar name: as in ``[train] method``.
    :cvar forms: what its adapters can be carried to.
    """

    name: ClassVar[str]
    forms: ClassVar[frozenset[AdapterForm]]
    objectives: ClassVar[frozenset[Objective]]

    @abstractmethod
    def plan(self, job: TrainJob) -> TrainPlan:
        """What the job would take; loads the tokenizer and the configuration alone.

        :raises OssError: as :meth:`train` would, as far as it can be known.
        """

    @abstractmethod
    def train(
        self, job: TrainJob, report: Callable[[TrainEvent], None], stop: Callable[[], bool]
    ) -> Trained:
        """Train, and write the adapter's weights into ``job.out``.

        ``stop`` is asked after each step; when it says yes, a checkpoint is kept and training
        ends with ``complete`` false and nothing in ``job.out``.

        What was kept to go on from stays until :meth:`finished`.

        :raises UsageError: no row can be learned from, or the options fit neither the model
            nor each other.
        :raises ModelError: the base cannot be trained so (no chat template, 4-bit experts), or
            what was written is not what was trained when it is loaded again.
        :raises StorageError: the disk is full; the last whole checkpoint is kept.
        """

    def finished(self, job: TrainJob) -> None:  # noqa: B027  not every method keeps something
        """The adapter is whole and in its place: what was kept to go on from may go."""

    @abstractmethod
    def verify(self, adapter: Path, base: Path) -> Verified:
        """Load the adapter on its base and compare the logits with and without it.

        :raises ModelError: it does not fit, a tensor found no place, or nothing changes.
        """

    @abstractmethod
    def export(self, adapter: Path, base: Path, form: AdapterForm, target: Path) -> Verified:
        """Carry the adapter to another form, load the result again and compare.

        ``target`` is written aside and renamed when it is whole.

        :raises CapabilityError: the method has no such form; the hint names one it has.
        """
