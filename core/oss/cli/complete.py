"""What a shell may complete: names of profiles, personas and models.

Each function has the signature of click's ``shell_complete``. A completion never fails loudly:
a broken file must not print over the line that is being typed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of profiles."""
    from oss.contracts.errors import OssError
    from oss.profile import list_profiles

    with suppress(OssError, OSError):
        return _starting((found.name for found in list_profiles()), incomplete)
    return []


def personas(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of personas, those of plugins included."""
    from oss.contracts.errors import OssError
    from oss.persona import list_personas
    from oss.plugins.manager import load_plugins

    with suppress(OssError, OSError):
        return _starting((found.name for found in list_personas(load_plugins())), incomplete)
    return []


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Short names of models in the catalogue."""
    from oss.contracts.errors import OssError
    from oss.models.catalogue import load_catalogue
    from oss.plugins.manager import load_plugins

    with suppress(OssError, OSError):
        return _starting(load_catalogue(load_plugins()), incomplete)
    return []
