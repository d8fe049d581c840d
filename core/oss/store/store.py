"""The store: conversations and turns, kept in one SQLite file."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.paths import data_dir
from oss.store import rows
from oss.store.database import faults, open_database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from oss.contracts.chat import FinishReason, Timings, Usage
    from oss.contracts.messages import Message
    from oss.contracts.retriever import Passage
    from oss.store.records import Conversation, Hit, Setup, Turn, TurnState

TITLE_LENGTH = 60
UNTITLED = "untitled"


def default_path() -> Path:
    """Where the conversations of this user are."""
    return data_dir() / "conversations.db"


def title_of(prompt: str) -> str:
    """A title made of a prompt's first line that is not empty."""
    line = next((" ".join(line.split()) for line in prompt.splitlines() if line.strip()), "")
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


class Store:
    """Conversations and turns. Every method is one transaction, done when it returns.

    Several processes may have the same file open, and several threads one object: its methods
    wait for each other. Every method raises :class:`~oss.contracts.errors.StorageError` where the
    file cannot be read or written, and :class:`~oss.contracts.errors.BusyError` where another
    process holds it for seconds; those that take an id raise
    :class:`~oss.contracts.errors.UsageError` for one that is unknown.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()
        self._connection = open_database(self.path)
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the object is of no further use."""
        with self._lock:
            self._connection.close()

    # Writing.

    def create(self, title: str) -> int:
        """A new conversation without turns; returns its id."""
        now = time.time()
        with self._write() as db:
            return _inserted(
                db.execute(
                    "INSERT INTO conversations (title, created, updated) VALUES (?, ?, ?)",
                    (title.strip() or UNTITLED, now, now),
                )
            )

    def begin_turn(self, conversation_id: int, prompt: Message, setup: Setup) -> int:
        """Keep the user's message, before there is an answer; returns the turn's id.

        The turn follows the conversation's last one and is the last from now on.
        """
        now = time.time()
        with self._write() as db:
            head = self._head(db, conversation_id)
            turn_id = _inserted(
                db.execute(
                    "INSERT INTO turns (conversation_id, parent_id, created, state, prompt, "
                    "messages, profile, profile_hash, persona, model, backend) "
                    "VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?)",
                    (
                        conversation_id,
                        head,
                        now,
                        prompt.content,
                        rows.messages_to_text([prompt]),
                        setup.profile,
                        setup.profile_hash,
                        setup.persona,
                        setup.model,
                        setup.backend,
                    ),
                )
            )
            self._set_head(db, conversation_id, turn_id)
        return turn_id

    def end_turn(
        self,
        turn_id: int,
        state: TurnState,
        messages: Sequence[Message],
        *,
        passages: Iterable[Passage] = (),
        finish_reason: FinishReason | None = None,
        error: str | None = None,
        usage: Usage | None = None,
        timings: Timings | None = None,
    ) -> None:
        """Keep what came of a turn: all of its messages, the user's first."""
        values: dict[str, Any] = {
            "state": state,
            "messages": rows.messages_to_text(messages),
            "answer": messages[-1].content if messages[-1].role == "assistant" else "",
            "passages": rows.passages_to_text(passages),
            "finish_reason": finish_reason,
            "error": error,
        }
        if usage:
            values["prompt_tokens"] = usage.prompt_tokens
            values["completion_tokens"] = usage.completion_tokens
            values["cached_tokens"] = usage.cached_tokens
        if timings:
            values["load_s"] = timings.load_s
            values["first_token_s"] = timings.first_token_s
            values["prompt_s"] = timings.prompt_s
            values["generate_s"] = timings.generate_s
        assignments = ", ".join(f"{column} = :{column}" for column in values)
        with self._write() as db:
            found = db.execute(
                f"UPDATE turns SET {assignments} WHERE id = :id",  # noqa: S608  names from above
                {**values, "id": turn_id},
            )
            if found.rowcount:
                db.execute(
                    "UPDATE conversations SET updated = ? WHERE head_id = ?",
                    (time.time(), turn_id),
                )

    def rename(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title."""
        with self._write() as db:
            self._head(db, conversation_id)
            db.execute(
                "UPDATE conversations SET title = ? WHERE id = ?",
                (title.strip() or UNTITLED, conversation_id),
            )

    def rewind(self, conversation_id: int, turn_id: int | None) -> None:
        """Make an earlier turn the last one (``None``: none); the next turn follows it.

        The turns after it stay in the store, as a branch, and are found by a search.
        """
        with self._write() as db:
            self._head(db, conversation_id)
            if turn_id is not None and not any(t == turn_id for t in _ids(db, conversation_id)):
                raise UsageError(f"turn {turn_id} is not in conversation {conversation_id}")
            self._set_head(db, conversation_id, turn_id)

    def fork(self, turn_id: int, title: str | None = None) -> int:
        """A new conversation that shares everything up to and with this turn; returns its id."""
        now = time.time()
        with self._write() as db:
            row = db.execute(
                "SELECT c.title FROM turns t JOIN conversations c ON c.id = t.conversation_id "
                "WHERE t.id = ?",
                (turn_id,),
            ).fetchone()
            if row is None:
                raise UsageError(f"no turn {turn_id}", hint="see `oss log show ID --json`")
            return _inserted(
                db.execute(
                    "INSERT INTO conversations (title, created, updated, head_id) "
                    "VALUES (?, ?, ?, ?)",
                    ((title or row["title"]).strip() or UNTITLED, now, now, turn_id),
                )
            )

    def delete(self, conversation_id: int) -> None:
        """Delete a conversation, its summaries, and its turns that no other one needs."""
        with self._write() as db:
            self._head(db, conversation_id)
            # A turn that a fork stands on goes over to that fork.
            db.execute(
                """
                WITH RECURSIVE path(id, owner) AS (
                    SELECT head_id, id FROM conversations
                        WHERE id <> :id AND head_id IS NOT NULL
                    UNION
                    SELECT t.parent_id, path.owner FROM turns t JOIN path USING (id)
                        WHERE t.parent_id IS NOT NULL
                )
                UPDATE turns
                SET conversation_id = (SELECT min(owner) FROM path WHERE path.id = turns.id)
                WHERE conversation_id = :id AND id IN (SELECT id FROM path)
                """,
                {"id": conversation_id},
            )
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

    def keep_summary(self, conversation_id: int, digest: str, text: str) -> None:
        """Keep the summary of the messages that have this digest."""
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO summaries (digest, conversation_id, text) VALUES (?, ?, ?)",
                (digest, conversation_id, text),
            )

    # Reading.

    def conversation(self, conversation_id: int) -> Conversation:
        """One conversation."""
        found = self._conversations("WHERE c.id = ?", (conversation_id,))
        if not found:
            raise _unknown(conversation_id)
        return found[0]

    def last(self) -> Conversation | None:
        """The conversation that was written to last."""
        found = self._conversations("ORDER BY c.updated DESC, c.id DESC LIMIT 1")
        return found[0] if found else None

    def conversations(self, limit: int = -1, offset: int = 0) -> list[Conversation]:
        """Conversations, the last used first; -1 is all."""
        return self._conversations(
            "ORDER BY c.updated DESC, c.id DESC LIMIT ? OFFSET ?", (limit, offset)
        )

    def turns(self, conversation_id: int) -> list[Turn]:
        """The turns of a conversation from its first to its last."""
        with self._used():
            self._head(self._connection, conversation_id)
            found = self._connection.execute(
                """
                WITH RECURSIVE path(id, depth) AS (
                    SELECT head_id, 0 FROM conversations WHERE id = ?
                    UNION ALL
                    SELECT t.parent_id, depth + 1 FROM turns t JOIN path USING (id)
                )
                SELECT turns.* FROM turns JOIN path USING (id) ORDER BY depth DESC
                """,
                (conversation_id,),
            ).fetchall()
        return [rows.turn_from_row(row) for row in found]

    def turn(self, turn_id: int) -> Turn:
        """One turn."""
        with self._used():
            row = self._connection.execute(
                "SELECT * FROM turns WHERE id = ?", (turn_id,)
            ).fetchone()
        if row is None:
            raise UsageError(f"no turn {turn_id}")
        return rows.turn_from_row(row)

    def history(self, conversation_id: int) -> list[Message]:
        """The messages that a next turn follows; turns without an answer are left out."""
        return [
            message
            for turn in self.turns(conversation_id)
            if turn.answered
            for message in turn.messages
        ]

    def search(self, query: str, limit: int = 50) -> list[Hit]:
        """Titles and turns in which every word of the query begins a word; best first.

        An empty query finds nothing. Words are compared without case, in any script.
        """
        words = _fts_query(query)
        if not words:
            return []
        with self._used():
            found = self._connection.execute(
                """
                SELECT c.id AS conversation_id, c.title, NULL AS turn_id, c.updated,
                    highlight(titles_text, 0, char(2), char(3)) AS excerpt, rank * 2 AS score
                FROM titles_text JOIN conversations c ON c.id = titles_text.rowid
                WHERE titles_text MATCH :words
                UNION ALL
                SELECT c.id, c.title, t.id, c.updated,
                    snippet(turns_text, -1, char(2), char(3), '…', 16), rank
                FROM turns_text JOIN turns t ON t.id = turns_text.rowid
                    JOIN conversations c ON c.id = t.conversation_id
                WHERE turns_text MATCH :words
                ORDER BY score, c.updated DESC LIMIT :limit
                """,
                {"words": words, "limit": limit},
            ).fetchall()
        return [rows.hit_from_row(row) for row in found]

    def summary(self, digest: str) -> str | None:
        """The summary of the messages that have this digest."""
        with self._used():
            row = self._connection.execute(
                "SELECT text FROM summaries WHERE digest = ?", (digest,)
            ).fetchone()
        return row["text"] if row else None

    # Within.

    @contextmanager
    def _used(self) -> Iterator[None]:
        with self._lock, faults(self.path):
            yield

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        db = self._connection
        with self._used():
            # IMMEDIATE: wait for the other writer now; an upgrade in mid-transaction cannot wait.
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _head(self, db: sqlite3.Connection, conversation_id: int) -> int | None:
        row = db.execute(
            "SELECT head_id FROM conversations WHERE id = ?", (conversation_id,)
        ).fetchone()
        if row is None:
            raise _unknown(conversation_id)
        head: int | None = row["head_id"]
        return head

    def _set_head(self, db: sqlite3.Connection, conversation_id: int, turn_id: int | None) -> None:
        db.execute(
            "UPDATE conversations SET head_id = ?, updated = ? WHERE id = ?",
            (turn_id, time.time(), conversation_id),
        )

    def _conversations(self, rest: str, values: tuple[int, ...] = ()) -> list[Conversation]:
        with self._used():
            found = self._connection.execute(
                f"SELECT {rows.CONVERSATION_COLUMNS} FROM conversations c "  # noqa: S608  constants
                f"LEFT JOIN turns h ON h.id = c.head_id {rest}",
                values,
            ).fetchall()
        return [rows.conversation_from_row(row) for row in found]


def _unknown(conversation_id: int) -> UsageError:
    return UsageError(f"no conversation {conversation_id}", hint="see `oss log list`")


def _inserted(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None  # noqa: S101  an INSERT of one row always has one
    return cursor.lastrowid


def _ids(db: sqlite3.Connection, conversation_id: int) -> Iterator[int]:
    found = db.execute(
        """
        WITH RECURSIVE path(id) AS (
            SELECT head_id FROM conversations WHERE id = ?
            UNION ALL
            SELECT t.parent_id FROM turns t JOIN path USING (id)
        )
        SELECT id FROM path WHERE id IS NOT NULL
        """,
        (conversation_id,),
    )
    return (row["id"] for row in found)


def _fts_query(query: str) -> str:
    # Each word quoted (it is data, not FTS syntax) and a prefix, for search as one types.
    words = ["".join(c if c.isalnum() else " " for c in word).split() for word in query.split()]
    return " ".join(f'"{part}"*' for parts in words for part in parts)
