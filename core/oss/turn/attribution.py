"""Where an answer that cites nothing most likely comes from: the passages that its sentences
share their words with.

Small models seldom write ``[n]``. This is the program's own guess, made from words alone, and is
never shown as the model's citation.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from oss.retrieval.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.retriever import Passage

SHARE = 0.4
"""How much of a sentence's words, by weight, a passage must have; two words at least."""
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_WORD = re.compile(r"\w+")
_LEFT_OUT = frozenset().union(*STOP_WORDS.values())
_STEM = 5


def attribute(answer: str, passages: Sequence[Passage]) -> tuple[int, ...]:
    """Numbers of the passages that the answer's sentences are taken from, judged by their words;
    the one with most of the answer first. A sentence without a word that tells passages from
    other texts belongs to none.
    """
    if not passages:
        return ()
    known = [_stems(f"{p.metadata.get('heading', '')} {p.text}") for p in passages]
    frequency = Counter(stem for stems in known for stem in stems)
    found: dict[int, float] = {}
    for sentence in _SENTENCE_END.split(answer):
        weights = {
            stem: math.log(1 + len(known) / max(frequency[stem], 1)) for stem in _stems(sentence)
        }
        shared = [stems & weights.keys() for stems in known]
        sums = [sum(weights[stem] for stem in stems) for stems in shared]
        best = max(range(len(sums)), key=sums.__getitem__)
        if len(shared[best]) > 1 and sums[best] >= SHARE * sum(weights.values()):
            found[best] = found.get(best, 0.0) + sums[best]
    return tuple(number + 1 for number in sorted(found, key=found.__getitem__, reverse=True))


def _stems(text: str) -> frozenset[str]:
    """The first letters of the words that say something, numbers whole: endings differ between an
    answer and its source, in Russian nearly always.
    """
    words = (word for word in _WORD.findall(text.lower()) if word not in _LEFT_OUT)
    return frozenset(word if word.isdigit() else word[:_STEM] for word in words)
