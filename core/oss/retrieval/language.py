"""Which language a text is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.retrieval.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLE = 4000
"""Characters that are enough to tell."""


def language_of(text: str, default: str = "en") -> str:
    """The two-letter code of the language that most of a text's start is in; ``default`` for
    texts with too few letters to tell.
    """
    sample = text[:SAMPLE]
    if sum(map(str.isalpha, sample)) < 20:
        return default
    with needs_extra("retrieval"):
        import py3langid
    code: str = py3langid.classify(sample)[0]
    return code


def most_frequent(languages: Iterable[str], share: float = 0.02) -> tuple[str, ...]:
    """Languages by how often they come, those under a share of all left out: a code sample taken
    for Latin should not make every question be stemmed in Latin.
    """
    counts: dict[str, int] = {}
    for language in languages:
        counts[language] = counts.get(language, 0) + 1
    total = sum(counts.values())
    ranked = sorted(counts, key=lambda language: (-counts[language], language))
    return tuple(language for language in ranked if counts[language] >= share * total)
