"""A Python reward, loaded from the file that the user named and allowed."""

from __future__ import annotations

import inspect
import math
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


ORIGIN = "oss origin"
"""The column that says where a prompt stands; no parameter can have such a name."""
_KEPT = "what was saved before is kept: `--resume` goes on from it"


def load_reward(text: str) -> Callable[..., list[float]]:
    """The function of ``file.py:function``, wrapped to score a batch.

    It is called with the answer's text, and with those of ``prompt`` and the other fields of the
    row that it has parameters for; it returns a number.

    :raises ConfigError: no such file or function.
    """
    path, _, name = text.rpartition(":")
    file = Path(path)
    if not path or not file.is_file():
        raise ConfigError(f"train.reward: no file '{path or text}'", hint="write ./reward.py:score")
    try:
        names = runpy.run_path(str(file), run_name="oss_reward")
    except Exception as error:
        raise ConfigError(f"{file} fails when it is loaded: {error!r}") from error
    score = names.get(name)
    if not callable(score):
        raise ConfigError(f"{file} has no function '{name}'")
    return wrap(score, text)


def wrap(score: Callable[..., Any], where: str) -> Callable[..., list[float]]:
    """The function over a batch, its faults named.

    :raises UsageError: (when called) it raises, or gives no finite number.
    """
    wanted = inspect.signature(score).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in wanted.values())

    def scores(completions: list[Any], prompts: list[Any], **fields: Any) -> list[float]:
        found = []
        for number, completion in enumerate(completions):
            row = f"{fields[ORIGIN][number]}: " if ORIGIN in fields else ""
            answer = completion if isinstance(completion, str) else completion[-1]["content"]
            given = {
                key: value[number]
                for key, value in {**fields, "prompt": prompts}.items()
                if key != ORIGIN
                and isinstance(value, list)
                and len(value) == len(completions)
                and (takes_all or key in wanted)
            }
            try:
                value = float(score(answer, **given))
            except Exception as error:
                raise UsageError(
                    f"{row}the reward {where} fails on an answer: {type(error).__name__}: {error}",
                    hint=f"the answer was {answer[:80]!r}; {_KEPT}",
                ) from error
            if not math.isfinite(value):
                raise UsageError(
                    f"{row}the reward {where} gave {value}, which is no number to learn from",
                    hint=f"the answer was {answer[:80]!r}; {_KEPT}",
                )
            found.append(value)
        return found

    scores.__name__ = getattr(score, "__name__", "reward")
    return scores
