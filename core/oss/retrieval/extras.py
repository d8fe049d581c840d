"""One sentence for every library that an extra brings and that is not there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Import inside this block what ``pip install 'oss-workbench[extra]'`` brings.

    :raises ConfigError: it is not installed; the hint says how to install it.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"'{error.name or error}' is not installed",
            hint=f"pip install 'oss-workbench[{extra}]'",
        ) from error
