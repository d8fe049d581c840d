"""BM25 as sparse vectors made here, so that any store that keeps sparse vectors can rank by it.

A document's weights hold term frequency and length, measured against the corpus's own average;
the store multiplies by inverse document frequency when it searches. Words are stemmed by the
Snowball stemmer of their language; the place of a word is the absolute value of its MurmurHash3,
as in Qdrant's own BM25, so its clients can search what is written here.
Source: https://en.wikipedia.org/wiki/Okapi_BM25, k1 = 1.2, b = 0.75.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from oss.contracts.store import SparseVector
from oss.retrieval.extras import needs_extra
from oss.retrieval.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

K1 = 1.2
B = 0.75
LONGEST_WORD = 40
START_AVERAGE = 80.0
"""Words per chunk until a collection has its own: what the default chunker comes to."""

SNOWBALL = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "cs": "czech",
    "da": "danish", "nl": "dutch", "en": "english", "eo": "esperanto", "et": "estonian",
    "fi": "finnish", "fr": "french", "de": "german", "el": "greek", "hi": "hindi",
    "hu": "hungarian", "id": "indonesian", "ga": "irish", "it": "italian", "lt": "lithuanian",
    "ne": "nepali", "no": "norwegian", "nb": "norwegian", "nn": "norwegian", "fa": "persian",
    "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""Two-letter language codes to the names of Snowball's stemmers."""

_SCRIPTS = (
    ("cyrillic", "\u0400", "\u052f"),
    ("greek", "\u0370", "\u03ff"),
    ("armenian", "\u0530", "\u058f"),
    ("hebrew", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u06ff"),
    ("devanagari", "\u0900", "\u097f"),
    ("tamil", "\u0b80", "\u0bff"),
)
_SCRIPT_OF = {
    "ru": "cyrillic", "sr": "cyrillic", "el": "greek", "hy": "armenian", "yi": "hebrew",
    "ar": "arabic", "fa": "arabic", "hi": "devanagari", "ne": "devanagari", "ta": "tamil",
}  # fmt: skip
_FIRST_OF = {
    "latin": "en", "cyrillic": "ru", "greek": "el", "armenian": "hy", "hebrew": "yi",
    "arabic": "ar", "devanagari": "hi", "tamil": "ta",
}  # fmt: skip
"""The language assumed for a word in another script than its document's."""

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")


def words(text: str) -> Iterator[str]:
    """The words of a text in lower case. A name with underscores gives itself and its parts;
    scripts without spaces give pairs of characters.
    """
    for token in _WORD.findall(text.lower()):
        yield from _words_of(token)


def _words_of(word: str) -> Iterator[str]:
    """Those of what stands between two marks or spaces."""
    if word.isascii():
        parts = word.split("_") if "_" in word else []
        if len(parts := [part for part in parts if part]) > 1:
            yield from parts
        elif "_" in word:
            word = "".join(parts)
        if 0 < len(word) <= LONGEST_WORD:
            yield word
    elif _UNSPACED.match(word):
        yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
    elif len(word) <= LONGEST_WORD:
        yield word


def _script(word: str) -> str:
    first = word[0]
    if first < "\u0370":
        return "latin"
    for name, low, high in _SCRIPTS:
        if low <= first <= high:
            return name
    return "latin"


@lru_cache(maxsize=64)
def _stemmer(language: str) -> Callable[[str], str]:
    with needs_extra("retrieval"):
        import Stemmer
    stem: Callable[[str], str] = Stemmer.Stemmer(SNOWBALL[language]).stemWord
    return stem


def _place(word: str, language: str) -> int | None:
    """Where a word stands in the vectors; ``None`` for a stop word."""
    if word in STOP_WORDS.get(language, ()):
        return None
    with needs_extra("retrieval"):
        import mmh3
    return abs(mmh3.hash(_stemmer(language)(word)))


def _language_of(word: str, language: str) -> str:
    """The language to stem a word by, in a document of ``language``."""
    script = _script(word)
    if language in SNOWBALL and _SCRIPT_OF.get(language, "latin") == script:
        return language
    return _FIRST_OF[script]


@lru_cache(maxsize=300_000)
def _places(token: str, language: str) -> tuple[int, ...]:
    """Where the words of a token of a document of ``language`` stand, stop words left out."""
    places = (_place(word, _language_of(word, language)) for word in _words_of(token))
    return tuple(place for place in places if place is not None)


def document_vector(
    text: str, language: str = "en", average_length: float = START_AVERAGE
) -> SparseVector:
    """The weights of a chunk.

    :param language: two letters; words in another script are stemmed by that script's language.
    :param average_length: words per chunk in the corpus.
    """
    counts: dict[int, int] = {}
    length = 0
    for token, count in Counter(_WORD.findall(text.lower())).items():
        for place in _places(token, language):
            counts[place] = counts.get(place, 0) + count
            length += count
    norm = K1 * (1 - B + B * length / (average_length or START_AVERAGE))
    return SparseVector(
        tuple(counts), tuple(count * (K1 + 1) / (count + norm) for count in counts.values())
    )


def query_vector(text: str, languages: Iterable[str] = ("en",)) -> SparseVector:
    """The words of a question, each stemmed for every language of the collection that is written
    in its script: what language a few words are in cannot be told.
    """
    known = [language for language in languages if language in SNOWBALL]
    places: dict[int, None] = {}
    for word in words(text):
        script = _script(word)
        fitting = [code for code in known if _SCRIPT_OF.get(code, "latin") == script]
        for language in fitting or [_FIRST_OF[script]]:
            if (place := _place(word, language)) is not None:
                places[place] = None
    return SparseVector(tuple(places), (1.0,) * len(places))


def length_of(text: str, language: str = "en") -> int:
    """Words of a text as BM25 counts them."""
    return sum(
        count * len(_places(token, language))
        for token, count in Counter(_WORD.findall(text.lower())).items()
    )
