"""An offer: a descriptor, and whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from oss.contracts.errors import ConfigError

if TYPE_CHECKING:
    from oss.contracts.descriptors import Descriptor

Kind = Literal[
    "backends",
    "retrievers",
    "stores",
    "embedders",
    "rerankers",
    "loaders",
    "adapters",
    "personas",
    "tools",
    "model_sources",
    "commands",
]


def singular(kind: Kind) -> str:
    """``model source`` for ``model_sources``."""
    return kind.removesuffix("s").replace("_", " ")


class Offer(NamedTuple):
    """A descriptor and the plugin it comes from."""

    descriptor: Descriptor
    plugin: str
    distribution: str

    def load(self, kind: Kind) -> Any:
        """Import what the descriptor's target names.

        :raises ConfigError: it cannot be imported; names plugin and distribution, and the hint
            says what to install.
        """
        descriptor = self.descriptor
        what = f"{singular(kind)} '{descriptor.name}' of plugin '{self.plugin}'"
        source = f"{what} ({self.distribution})"
        module = descriptor.target.partition(":")[0]
        try:
            return descriptor.load()
        except ImportError as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing and missing.partition(".")[0] != module.partition(".")[0]:
                extra = f"[{descriptor.extra}]" if descriptor.extra else ""
                raise ConfigError(
                    f"{source} needs '{missing}', which is not installed",
                    hint=f"pip install '{self.distribution}{extra}'",
                ) from error
            raise ConfigError(
                f"{source} cannot be imported: {one_line(error)}",
                hint=f"pip install --force-reinstall {self.distribution}",
            ) from error
        except Exception as error:
            raise ConfigError(
                f"{source} cannot be imported: {type(error).__name__}: {one_line(error)}",
                hint=f'the whole traceback: python -c "import {module}"',
            ) from error


def one_line(error: Exception) -> str:
    """The text of an error without line breaks."""
    return " ".join(str(error).split())
