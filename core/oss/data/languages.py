"""In which script and language texts are, and which rows are in another than the rest."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first and last letter of the blocks that a script's texts are made of.
_SCRIPTS = {
    "Latin": ("AZ", "az", "\u00c0\u024f"),
    "Cyrillic": ("\u0400\u052f",),
    "Greek": ("\u0370\u03ff",),
    "Hebrew": ("\u0590\u05ff",),
    "Arabic": ("\u0600\u06ff",),
    "Devanagari": ("\u0900\u097f",),
    "Thai": ("\u0e00\u0e7f",),
    "Japanese": ("\u3040\u30ff",),
    "Korean": ("\uac00\ud7af", "\u1100\u11ff"),
    "Han": ("\u4e00\u9fff", "\u3400\u4dbf"),
}
SAMPLE = 1000
"""Characters that are looked at."""

LEAST_ROWS = 30
"""In smaller sets no row is unusual: there is no usual."""

LEAST_LETTERS = 40
"""Shorter texts have no language that could be told."""

ALL_UP_TO = 1000
"""So many rows are each told their language; of those after, one in :data:`EVERY`."""

EVERY = 100
_MARGIN = 10.0  # nats by which another language must be likelier than the usual one
_USUAL = 0.8  # the share of one language above which others are unusual


def script_of(text: str) -> str | None:
    """The script that most letters at the beginning of a text are in, or ``None``."""
    counts: Counter[str] = Counter()
    for letter, number in Counter(text[:SAMPLE]).items():
        if script := _script(letter):
            counts[script] += number
    if counts["Japanese"]:  # which is written with Han too
        counts["Japanese"] += counts.pop("Han", 0)
    return counts.most_common(1)[0][0] if counts else None


@lru_cache(maxsize=4096)
def _script(letter: str) -> str | None:
    for name, blocks in _SCRIPTS.items():
        if any(block[0] <= letter <= block[1] for block in blocks):
            return name
    return None


def has_library() -> bool:
    """Whether languages can be told here, beside scripts."""
    from importlib.util import find_spec

    return find_spec("py3langid") is not None


def language_of(text: str) -> str | None:
    """The two-letter code of a text's language; ``None`` for one too short, or when the library
    for it is not installed.
    """
    ranked = _ranked(text)
    return ranked[0][0] if ranked else None


def _ranked(text: str) -> list[tuple[str, float]]:
    sample = text[:SAMPLE]
    if sum(map(str.isalpha, sample)) < LEAST_LETTERS or not has_library():
        return []
    import py3langid

    ranked: list[tuple[str, float]] = py3langid.rank(sample)
    return ranked


class LanguageWatch:
    """Counts scripts of all rows and languages of many (telling one takes milliseconds)."""

    def __init__(self) -> None:
        self.scripts: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self._rows = 0
        self._by_script: dict[str, list[int]] = {}
        self._by_language: dict[str, list[tuple[int, dict[str, float]]]] = {}

    def feed(self, key: int, text: str) -> None:
        """Look at the text of one row."""
        self._rows += 1
        script = script_of(text)
        if script is None:
            return
        self.scripts[script] += 1
        self._by_script.setdefault(script, []).append(key)
        if self._rows > ALL_UP_TO and self._rows % EVERY:
            return
        if ranked := _ranked(text):
            language = ranked[0][0]
            self.languages[language] += 1
            self._by_language.setdefault(language, []).append((key, dict(ranked[:20])))

    def unusual(self) -> Iterator[tuple[int, str, str]]:
        """Rows in another script or language than four in five: key, theirs, the usual one."""
        told = set()
        script = _usual(self.scripts)
        if script:
            for name, keys in self._by_script.items():
                if name != script:
                    told.update(keys)
                    yield from ((key, name, script) for key in keys)
        language = _usual(self.languages)
        if language:
            for name, rows in self._by_language.items():
                for key, ranks in rows if name != language else ():
                    margin = ranks[name] - ranks.get(language, min(ranks.values()))
                    if margin >= _MARGIN and key not in told:
                        yield key, name, language


def _usual(counts: Counter[str]) -> str | None:
    total = sum(counts.values())
    name, most = counts.most_common(1)[0] if counts else ("", 0)
    return name if total >= LEAST_ROWS and _USUAL * total <= most else None
