"""A number and its noun, as people write them."""

from __future__ import annotations


def count(number: int, name: str = "row") -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"
