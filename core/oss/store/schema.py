"""The tables of the store, as the migrations that make them; applied in order, once each.

``PRAGMA user_version`` counts the migrations applied. A migration that has been released is never
edited: a change is a further one.

Turns form a tree by ``parent_id``; a conversation is the path from its ``head_id`` to the root.
So a fork costs one row, and what two conversations share is stored once.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        head_id INTEGER REFERENCES turns(id) ON DELETE SET NULL
    );
    CREATE INDEX conversations_updated ON conversations(updated);

    CREATE TABLE turns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
        parent_id INTEGER REFERENCES turns(id) ON DELETE SET NULL,
        created REAL NOT NULL,
        state TEXT NOT NULL,
        prompt TEXT NOT NULL,
        answer TEXT NOT NULL DEFAULT '',
        messages TEXT NOT NULL,
        passages TEXT NOT NULL DEFAULT '[]',
        profile TEXT NOT NULL,
        profile_hash TEXT NOT NULL,
        persona TEXT,
        model TEXT NOT NULL,
        backend TEXT NOT NULL,
        finish_reason TEXT,
        error TEXT,
        prompt_tokens INTEGER NOT NULL DEFAULT 0,
        completion_tokens INTEGER NOT NULL DEFAULT 0,
        cached_tokens INTEGER NOT NULL DEFAULT 0,
        load_s REAL NOT NULL DEFAULT 0,
        first_token_s REAL NOT NULL DEFAULT 0,
        prompt_s REAL NOT NULL DEFAULT 0,
        generate_s REAL NOT NULL DEFAULT 0
    );
    CREATE INDEX turns_conversation ON turns(conversation_id);
    CREATE INDEX turns_parent ON turns(parent_id);
    CREATE INDEX conversations_head ON conversations(head_id);

    CREATE TABLE summaries (
        digest TEXT PRIMARY KEY,
        conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
        text TEXT NOT NULL
    );
    CREATE INDEX summaries_conversation ON summaries(conversation_id);

    CREATE VIRTUAL TABLE turns_text USING fts5(
        prompt, answer, content='turns', content_rowid='id',
        tokenize="unicode61 remove_diacritics 2", prefix='2 3'
    );
    CREATE TRIGGER turns_text_insert AFTER INSERT ON turns BEGIN
        INSERT INTO turns_text(rowid, prompt, answer) VALUES (new.id, new.prompt, new.answer);
    END;
    CREATE TRIGGER turns_text_delete AFTER DELETE ON turns BEGIN
        INSERT INTO turns_text(turns_text, rowid, prompt, answer)
            VALUES ('delete', old.id, old.prompt, old.answer);
    END;
    CREATE TRIGGER turns_text_update AFTER UPDATE OF prompt, answer ON turns BEGIN
        INSERT INTO turns_text(turns_text, rowid, prompt, answer)
            VALUES ('delete', old.id, old.prompt, old.answer);
        INSERT INTO turns_text(rowid, prompt, answer) VALUES (new.id, new.prompt, new.answer);
    END;

    CREATE VIRTUAL TABLE titles_text USING fts5(
        title, content='conversations', content_rowid='id',
        tokenize="unicode61 remove_diacritics 2", prefix='2 3'
    );
    CREATE TRIGGER titles_text_insert AFTER INSERT ON conversations BEGIN
        INSERT INTO titles_text(rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER titles_text_delete AFTER DELETE ON conversations BEGIN
        INSERT INTO titles_text(titles_text, rowid, title) VALUES ('delete', old.id, old.title);
    END;
    CREATE TRIGGER titles_text_update AFTER UPDATE OF title ON conversations BEGIN
        INSERT INTO titles_text(titles_text, rowid, title) VALUES ('delete', old.id, old.title);
        INSERT INTO titles_text(rowid, title) VALUES (new.id, new.title);
    END;
    """,
)
