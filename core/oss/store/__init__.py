"""The store: conversations and turns, in SQLite."""

from __future__ import annotations

from oss.store.records import Conversation, Hit, Setup, Turn, TurnState
from oss.store.store import Store, default_path, title_of

__all__ = [
    "Conversation",
    "Hit",
    "Setup",
    "Store",
    "Turn",
    "TurnState",
    "default_path",
    "title_of",
]
