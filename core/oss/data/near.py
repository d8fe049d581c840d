"""Rows that say the same: exactly, or nearly.

Nearly the same is measured on sets of five characters in a row (after case and space are evened
out), by MinHash (Broder, "On the resemblance and containment of documents", 1997) and an index of
bands, so that rows are compared only with those they may resemble. The library `rensa` does both.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError
from oss.data.views import normal

if TYPE_CHECKING:
    from collections.abc import Sequence

SHINGLE = 5
HASHES = 128  # the similarity is estimated to within 0.05 or so
BANDS = 32  # of 4 hashes: of pairs at the threshold of 0.8, one in 10 million is missed
THRESHOLD = 0.8
LONGEST = 20_000
"""Characters at the beginning of a text that it is compared by."""


def has_library() -> bool:
    """Whether near-duplicates can be found here."""
    from importlib.util import find_spec

    return find_spec("rensa") is not None


def needs_library() -> ConfigError:
    """The error of those who cannot do without."""
    return ConfigError(
        "near-duplicates are found with 'rensa', which is not installed",
        hint="pip install 'oss-workbench[data]'; --exact looks for exact ones alone",
    )


class ExactIndex:
    """Finds texts seen before, in 16 bytes each."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def find(self, text: str) -> int | None:
        """The key of the first text that is the same but for case, width and space."""
        return self._seen.get(_digest(text))

    def add(self, text: str, key: int) -> None:
        """Remember a text; the first of the same ones counts."""
        self._seen.setdefault(_digest(text), key)


class NearIndex:
    """Finds texts that resemble one seen before; about 2 KB each.

    :param threshold: the share of what two texts have in common that makes them near-duplicates.
    :raises ConfigError: the library is not installed.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        if not has_library():
            raise needs_library()
        import rensa

        self._library: Any = rensa
        self._threshold = threshold
        self._bands = rensa.RMinHashLSH(threshold=threshold, num_perm=HASHES, num_bands=BANDS)
        self._signatures: dict[int, Any] = {}

    def signature(self, text: str) -> Any:
        """What a text is compared by."""
        text = normal(text[:LONGEST])
        shingles = [text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))]
        made = self._library.RMinHash(num_perm=HASHES, seed=1)
        made.update(shingles)
        return made

    def find(self, signature: Any) -> tuple[int, float] | None:
        """The key of the most similar text above the threshold, and how similar it is."""
        near = [
            (signature.jaccard(self._signatures[key]), -key) for key in self._bands.query(signature)
        ]
        similarity, key = max(near, default=(0.0, 0))
        return (-key, similarity) if similarity >= self._threshold else None

    def all(self, signature: Any) -> list[int]:
        """The keys of every text above the threshold."""
        keys: Sequence[int] = self._bands.query(signature)
        return [k for k in keys if signature.jaccard(self._signatures[k]) >= self._threshold]

    def add(self, signature: Any, key: int) -> None:
        """Remember a text."""
        self._bands.insert(key, signature)
        self._signatures[key] = signature


class Groups:
    """Numbers that belong together, directly or by others (union and find)."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def add(self) -> int:
        """The next number, alone."""
        self._parent.append(len(self._parent))
        return len(self._parent) - 1

    def join(self, one: int, other: int) -> None:
        """Put the groups of two numbers together; the smallest number stands for both."""
        first, second = sorted((self.of(one), self.of(other)))
        self._parent[second] = first

    def of(self, number: int) -> int:
        """The smallest number of the group."""
        while (parent := self._parent[number]) != number:
            self._parent[number] = self._parent[parent]
            number = parent
        return number


def _digest(text: str) -> bytes:
    return hashlib.blake2b(normal(text).encode("utf-8", "replace"), digest_size=16).digest()
