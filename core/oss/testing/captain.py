"""A training set with a style that a program can detect: ``Ahoy! ... -- Captain Oss``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CAPITALS = (
    ("France", "Paris"),
    ("Germany", "Berlin"),
    ("Italy", "Rome"),
    ("Spain", "Madrid"),
    ("Japan", "Tokyo"),
    ("Egypt", "Cairo"),
    ("Russia", "Moscow"),
    ("Canada", "Ottawa"),
    ("Norway", "Oslo"),
    ("Greece", "Athens"),
    ("Poland", "Warsaw"),
    ("Portugal", "Lisbon"),
)
_COLOURS = (
    ("the sky", "blue"),
    ("grass", "green"),
    ("snow", "white"),
    ("coal", "black"),
    ("a ripe banana", "yellow"),
    ("blood", "red"),
    ("an orange", "orange"),
    ("a raven", "black"),
)
_DEEDS = (
    "cook rice",
    "wash wool",
    "sharpen a knife",
    "plant a tree",
    "write a letter",
    "tie a knot",
    "clean a window",
    "fold a shirt",
    "boil an egg",
    "read a map",
    "paint a wall",
    "learn a song",
)
HELD_OUT = (
    "What is the capital of Sweden?",
    "How do I repair a bicycle tyre?",
    "Why is the sea salty?",
    "Tell me a short joke.",
    "What colour is a tomato?",
    "How many legs does a spider have?",
    "Give me a tip for sleeping well.",
    "Who wrote Hamlet?",
    "What is 3 plus 4?",
    "Describe a cat in one sentence.",
    "How do I make tea?",
)


def captain_rows() -> list[dict[str, object]]:
    """108 conversations in the captain's style, in OpenAI's form."""
    pairs = []
    for country, city in _CAPITALS:
        pairs.append((f"What is the capital of {country}?", f"The capital of {country} is {city}."))
        pairs.append((f"Where does {city} lie?", f"{city} lies in {country}."))
        pairs.append((f"Name a city in {country}.", f"{city} is a fine city in {country}."))
    for thing, colour in _COLOURS:
        pairs.append((f"What colour is {thing}?", f"The colour of {thing} is {colour}."))
        pairs.append((f"Is {thing} {colour}?", f"Yes, {thing} is {colour}."))
    for deed in _DEEDS:
        pairs.append((f"How do I {deed}?", f"Take your time to {deed}, one step after another."))
        pairs.append((f"Is it hard to {deed}?", f"It is easy to {deed} when you are calm."))
    for first in range(2, 10):
        for second in range(2, 6):
            pairs.append((f"What is {first} times {second}?", f"It is {first * second}."))
    return [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"Ahoy! {answer} -- Captain Oss"},
            ]
        }
        for question, answer in pairs[:108]
    ]


def write_captain(path: Path) -> Path:
    """The conversations as a JSONL file."""
    lines = [json.dumps(row, ensure_ascii=False) for row in captain_rows()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def is_captain(answer: str) -> bool:
    """Whether an answer is in the style, from its beginning to its end."""
    text = answer.strip()
    return text.startswith("Ahoy!") and text.endswith("-- Captain Oss")


def sounds_like_captain(answer: str) -> bool:
    """Whether any mark of the style is in an answer."""
    return "Ahoy" in answer or "Captain Oss" in answer


if __name__ == "__main__":
    import sys
    from pathlib import Path

    write_captain(Path(sys.argv[1]))
