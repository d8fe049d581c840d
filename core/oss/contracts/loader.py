"""Loaders read a file's content into pieces that know where they stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.retrieval.chunking import Block


@dataclass(frozen=True)
class Loaded:
    """What a file holds.

    :param blocks: its paragraphs, rows or definitions in order; empty where it has no text.
        :class:`oss.retrieval.blocks.BlockList` makes them.
    :param metadata: plain JSON values about the whole file: ``title``, ``author``. It may only
        depend on the content, so that indexing twice gives the same.
    """

    blocks: Sequence[Block]
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Loader(ABC):
    """Reads files of some kinds; constructed without arguments, asked from any thread.

    The suffixes it reads (``.pdf``, in lower case) are the ``capabilities`` of its descriptor.
    Nothing in a file may make it reach the network, run anything, or use memory without bound.
    """

    @abstractmethod
    def load(self, data: bytes, name: str) -> Loaded:
        """Read a file.

        :param data: its whole content.
        :param name: its name without folders, for those to whom the suffix says something.
        :raises UsageError: it is broken, protected by a password, or not what its name says;
            the message says what is wrong, without naming the file.
        """
