"""Models: where they come from, which forms are on disk, what a header says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Format = Literal["gguf", "hf", "remote"]


@dataclass(frozen=True)
class LocalModel:
    """A model that can be opened.

    ``gguf`` form: ``path`` is the first (or only) GGUF file. ``hf`` form: ``path`` is a folder
    with ``config.json``. ``remote`` form: no path, a server knows the model by ``name``.

    :param name: what the user calls it (``starter``, ``gpt-oss-20b``, a path).
    :param ref: the full reference, ``scheme:rest``.
    :param forms: further forms of the same model on this machine, by format.
    """

    name: str
    ref: str
    format: Format
    path: Path | None = None
    size: int = 0
    forms: Mapping[Format, Path] = field(default_factory=dict)

    def form(self, wanted: Format) -> Path | None:
        """The path of the wanted form, or ``None``."""
        return self.path if self.format == wanted else self.forms.get(wanted)


class Progress(Protocol):
    """Receives the state of a long transfer; bytes done, bytes in all (0: unknown), a label."""

    def __call__(self, done: int, total: int, label: str) -> None:
        """Called often; must be cheap."""


class ModelSource(ABC):
    """Finds and fetches models of one scheme (``hf``, ``pypi``, ``file``, ``ollama``).

    ``rest`` is what follows ``scheme:`` in a reference.
    """

    scheme: str

    @abstractmethod
    def find(self, rest: str) -> LocalModel | None:
        """The model if it is whole and on this machine; asks no network."""

    @abstractmethod
    def pull(self, rest: str, progress: Progress, *, sha256: str | None = None) -> LocalModel:
        """Fetch the model, or return it at once when it is here.

        :param sha256: the digest that the model's (first) file must have before it counts as
            here; ``None``: the source's own checksum alone.
        :raises ModelError: no such model, or its checksum differs.
        :raises NetworkError: it could not be fetched; what arrived is kept for a resumption.
        :raises StorageError: no room, or the target cannot be written.
        :raises BusyError: another process is fetching the same model.
        """

    @abstractmethod
    def list(self) -> Iterable[LocalModel]:
        """The models of this scheme on this machine."""

    def remove(self, rest: str) -> int:  # noqa: ARG002
        """Delete the model; returns the bytes freed.

        :raises ModelError: absent, or not ours to delete (a user's own file, another tool's).
        """
        from oss.contracts.errors import ModelError

        raise ModelError(
            f"models of '{self.scheme}:' are not removed by oss",
            hint="delete the file yourself, or with the tool that made it",
        )


@dataclass(frozen=True)
class CatalogueEntry:
    """A short name for a model.

    :param refs: references in order of preference; the first that can be had is used.
    :param size: bytes to fetch, for a word before the pull; 0 where unknown.
    :param sha256: reference to the digest of its (first) file, where pinned.
    """

    name: str
    summary: str
    refs: tuple[str, ...]
    licence: str
    size: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)
