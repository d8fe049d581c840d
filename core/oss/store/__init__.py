"""The store: conversations and turns in SQLite."""
