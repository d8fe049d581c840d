"""The recipe: every setting of a training run decided, each default with its source."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from oss.adapters.sources import MEASURED, REGRET, fixed_sources
from oss.contracts.adapter import TrainSettings
from oss.contracts.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.contracts.adapter import Objective
    from oss.contracts.descriptors import Descriptor
    from oss.data.rows import Kind, Row
    from oss.profile.schema import TrainTable

OBJECTIVES: dict[Kind, Objective] = {
    "chat": "chat",
    "text": "text",
    "preference": "dpo",
    "rated": "kto",
    "prompt": "grpo",
}
KINDS: dict[Objective, set[Kind]] = {
    "chat": {"chat", "text"},
    "text": {"text", "chat"},
    "distill": {"chat", "text"},
    "dpo": {"preference"},
    "ipo": {"preference"},
    "apo": {"preference"},
    "orpo": {"preference"},
    "simpo": {"preference"},
    "cpo": {"preference"},
    "kto": {"rated"},
    "grpo": {"prompt"},
}
_LORA = {"lora", "rslora", "dora", "pissa", "adalora", "qlora"}
_LONGEST = 2048
_ANSWERS = {"chat", "text", "distill"}
_BESIDE = {"dpo", "ipo", "apo", "simpo", "cpo"}  # have the plain loss beside their own
_WITHOUT_BETA = {"chat", "text", "grpo"}


@dataclass(frozen=True)
class Recipe:
    """All that decides what comes out, apart from the base and the data.

    :ivar sources: for each value that nobody set, why it is what it is.
    """

    method: str
    objective: Objective
    settings: TrainSettings
    options: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As TOML would have it, in the profile's own keys, less what the objective has no use
        for.
        """
        unused = set() if self.objective in _BESIDE else {"sft_weight"}
        unused |= {"beta"} if self.objective in _WITHOUT_BETA else set()
        values = {
            "method": self.method,
            "objective": self.objective,
            **{
                key: value
                for key, value in asdict(self.settings).items()
                if value not in ("", ()) and key not in unused
            },
        }
        values[self.method] = {k: v for k, v in self.options.items() if v not in (None, [], "")}
        return values

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], descriptor: Descriptor) -> Recipe:
        """What :meth:`plain` gave, as an adapter's card keeps it.

        :param descriptor: of the method.
        :raises ConfigError: an option is wrong.
        """
        import msgspec

        from oss.plugins.options import validate

        method = descriptor.name
        rest = {k: v for k, v in values.items() if k not in {"method", "objective", method}}
        settings = msgspec.convert(rest, TrainSettings)
        options = validate(descriptor, values.get(method, {}), f"recipe.{method}")
        return cls(method, values["objective"], settings, options)


def resolve_recipe(
    table: TrainTable, descriptor: Descriptor, rows: Sequence[Row], context: int
) -> Recipe:
    """Decide everything.

    :param descriptor: of the method.
    :param rows: the rows that are learned.
    :param context: tokens the base was trained for; 0 where it does not say.
    :raises ConfigError: an option of the method is wrong.
    :raises UsageError: the rows are of kinds that do not go together, or not with the objective.
    """
    from oss.plugins.options import validate

    sources = fixed_sources(table, descriptor)

    def decide(key: str, given: Any, default: Any, source: str) -> Any:
        if given is not None:
            return given
        sources[key] = source
        return default

    method = descriptor.name
    objective = choose_objective(table, rows)
    options = validate(descriptor, table.options.get(method, {}), f"train.{method}")
    if "r" in options:
        if options["alpha"] is None:
            options["alpha"] = 2.0 * options["r"]
            sources[f"{method}.alpha"] = f"twice r: {REGRET}"
        if not options["targets"]:
            sources[f"{method}.targets"] = f"all linear layers, MLP included: {REGRET}"
    batch = decide("batch", table.batch, 4, MEASURED)
    small = len(rows) < 400
    wanted = 8 if small else 16
    accumulation = decide(
        "accumulation",
        table.accumulation,
        max(1, wanted // batch),
        f"an effective batch of {wanted}: 8 to 16 {REGRET}",
    )
    steps = table.steps or max(1, math.ceil(table.epochs * len(rows) / (batch * accumulation)))
    if not table.steps:
        sources["steps"] = f"{table.epochs:g} passes over {len(rows)} rows"
    rate, why = _rate(method, objective, steps)
    settings = TrainSettings(
        steps=steps,
        learning_rate=decide("learning_rate", table.learning_rate, rate, why),
        batch=batch,
        accumulation=accumulation,
        max_length=decide(
            "max_length",
            table.max_length,
            min(context or _LONGEST, _LONGEST),
            "as the base can read, up to 2048",
        ),
        warmup=table.warmup,
        schedule=table.schedule,
        weight_decay=table.weight_decay,
        clip=table.clip,
        precision=table.precision,
        checkpointing=table.checkpointing,
        packing=table.packing,
        group_by_length=table.group_by_length and not table.packing,
        seed=table.seed,
        save_every=decide(
            "save_every", table.save_every, max(10, steps // 10), "a tenth of the run may be lost"
        ),
        evaluate_every=decide(
            "evaluate_every",
            table.evaluate_every,
            max(1, steps // 10) if table.patience else 0,
            "at the end alone" if not table.patience else "ten looks in all",
        ),
        patience=table.patience,
        beta=decide("beta", table.beta, *_beta(objective)),
        sft_weight=table.sft_weight,
        reward=table.reward or "",
        report_to=table.report_to,
    )
    if settings.patience and not settings.evaluate_every:
        raise ConfigError("train.patience needs train.evaluate_every above 0")
    return Recipe(method, objective, _aligned(settings), options, sources)


def choose_objective(table: TrainTable, rows: Sequence[Row]) -> Objective:
    """The objective that is set, or that the rows are made for.

    :raises UsageError: the rows do not go together, or not with it.
    """
    objective = OBJECTIVES[rows[0].kind] if table.objective == "auto" else table.objective
    if table.objective == "auto" and {row.kind for row in rows} <= {"chat", "text"}:
        objective = "distill" if table.teacher else _supervised(rows)
    for row in rows:
        if row.kind not in KINDS[objective]:
            raise UsageError(
                f"{row.origin}: a row of kind '{row.kind}' cannot be learned with objective "
                f"'{objective}'",
                hint=f"it takes {' or '.join(sorted(KINDS[objective]))} rows; train the others "
                "apart",
            )
    if (objective == "distill") != (table.teacher is not None):
        raise ConfigError(
            "objective 'distill' needs train.teacher, and no other objective has one",
            hint='teacher = "PROFILE"; or `oss data generate -p PROFILE` lets it write answers',
        )
    if objective == "grpo" and not table.reward:
        raise ConfigError(
            "objective 'grpo' needs train.reward", hint='reward = "./reward.py:score"'
        )
    return objective


def _supervised(rows: Sequence[Row]) -> Objective:
    return "text" if all(row.kind == "text" for row in rows) else "chat"


def _aligned(settings: TrainSettings) -> TrainSettings:
    """The best checkpoint can only be kept where one is made at each look."""
    from dataclasses import replace

    return replace(settings, save_every=settings.evaluate_every) if settings.patience else settings


def _rate(method: str, objective: Objective, steps: int) -> tuple[float, str]:
    if objective == "grpo":
        return 2e-5, "TRL's guide to GRPO with LoRA"
    if objective not in _ANSWERS:
        return 5e-5, f"1e-4 or less keeps the text whole: {MEASURED} (3e-4 collapsed it)"
    if method in _LORA:
        if steps < 100:
            return 5e-4, f"short runs bear more than 2e-4: {MEASURED}"
        return 2e-4, f"about ten times that of full training: {REGRET}"
    if method in {"prompt", "prefix"}:
        return 3e-2, "PEFT's examples; invisible tokens need far more than weights"
    if method == "partial":
        return 1e-4, "between LoRA's and full training's"
    return 2e-5, "usual for full training of instruct models (TRL's examples)"


def _beta(objective: Objective) -> tuple[float, str]:
    if objective in {"simpo", "cpo"}:
        return (2.0, "SimPO, arXiv 2405.14734") if objective == "simpo" else (0.1, "TRL's default")
    if objective == "distill":
        return 0.5, "halfway: GKD, arXiv 2306.13649, and TRL's default"
    return 0.1, "DPO, arXiv 2305.18290"
