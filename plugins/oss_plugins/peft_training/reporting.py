"""Other places that training is logged to, by the callbacks of transformers."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def check_reporters(names: Sequence[str]) -> None:
    """Refuse, before anything is loaded, what would fail when training begins.

    :raises ConfigError: a name is unknown, or its library is not installed.
    """
    if not names:
        return
    from transformers.integrations import integration_utils as known

    for name in names:
        if name not in known.INTEGRATION_TO_CALLBACK:
            near = difflib.get_close_matches(name, known.INTEGRATION_TO_CALLBACK, 1)
            every = ", ".join(sorted(known.INTEGRATION_TO_CALLBACK))
            raise ConfigError(
                f"train.report_to: '{name}' is unknown",
                hint=f"did you mean '{near[0]}'?" if near else f"there are: {every}",
            )
        if name not in known.get_available_reporting_integrations():
            raise ConfigError(
                f"train.report_to: '{name}' is not installed", hint=f"pip install {name}"
            )


def where_logged(names: Sequence[str], work: Path) -> str:
    """How to look at it, for those that write files; else nothing."""
    return f"tensorboard --logdir {work / 'runs'}" if "tensorboard" in names else ""
