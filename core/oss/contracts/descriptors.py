"""What a plugin says of the things it offers, without importing them."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, NamedTuple

OptionType = Literal["str", "int", "float", "bool", "path", "list"]


class Option(NamedTuple):
    """One setting of a plugin's part; declared once, shown in TOML, help texts and screens.

    ``list`` is a list of strings. ``choices`` limits a ``str``; ``minimum`` and ``maximum``
    limit numbers.
    """

    name: str
    type: OptionType
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


class Descriptor(NamedTuple):
    """A named part, its one-line summary, its options, and where its class is.

    :param target: ``module:attribute``; imported only when the part is used.
    :param capabilities: names of :class:`oss.contracts.backend.Capability` for a backend;
        free words for other kinds.
    :param extra: the extra of the plugin's distribution that installs what it needs,
        for a hint: ``pip install 'oss-workbench[starter]'``.
    """

    name: str
    summary: str
    target: str
    options: tuple[Option, ...] = ()
    capabilities: frozenset[str] = frozenset()
    extra: str | None = None

    def load(self) -> Any:
        """Import and return the target.

        :raises ImportError: the module or a library it needs is not installed.
        :raises AttributeError: the module has no such name.
        """
        module, _, attribute = self.target.partition(":")
        return getattr(import_module(module), attribute)
