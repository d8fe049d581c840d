"""Adapters on this machine: their cards, where they lie, what they fit."""

from oss.adapters.card import BaseCard, Card, DataCard, ResultCard, read_card
from oss.adapters.locate import check_for, locate, shown_to
from oss.adapters.registry import Adapter, find_adapter, list_adapters, remove_adapter, staged

__all__ = [
    "Adapter",
    "BaseCard",
    "Card",
    "DataCard",
    "ResultCard",
    "check_for",
    "find_adapter",
    "list_adapters",
    "locate",
    "read_card",
    "remove_adapter",
    "shown_to",
    "staged",
]
