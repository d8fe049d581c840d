"""The collection that files go into: made, with the embedder that fits their languages, or
found, with its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import UsageError
from oss.retrieval.chunking import WORDS, chunker_name
from oss.retrieval.language import language_of, most_frequent
from oss.retrieval.opening import best_embedder, new_settings, open_embedder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oss.contracts.retriever import Embedder
    from oss.contracts.store import CollectionSettings, VectorStore
    from oss.plugins.manager import Plugins
    from oss.retrieval.indexing.reading import Reader
    from oss.retrieval.indexing.walking import Found

SAMPLE = 40
"""Files that are read to tell the languages of a new collection."""
_SHARE = 0.1


def words_of(settings: CollectionSettings) -> int:
    """How many words the chunks of a collection have.

    :raises UsageError: they were cut in a way that this program does not know.
    """
    kind, _, words = settings.chunker.rpartition("-")
    if kind != "paragraphs" or not words.isdigit():
        raise UsageError(
            f"the collection's texts were cut by '{settings.chunker}', which 'oss docs' cannot do",
            hint="add to another collection",
        )
    return int(words)


def check_wanted(
    name: str,
    settings: CollectionSettings,
    embedder: str | None,
    options: Mapping[str, Any],
    words: int | None,
) -> None:
    """See that what was asked for is how the collection was made.

    :raises UsageError: it is not.
    """
    hint = f"leave it out, add to another collection, or make this one anew: oss docs rm {name}"
    if embedder and embedder != settings.embedder:
        raise UsageError(
            f"collection '{name}' was made with embedder '{settings.embedder}', not '{embedder}'",
            hint=hint,
        )
    if options and options != settings.embedder_options:
        raise UsageError(
            f"collection '{name}' was made with other options of embedder '{settings.embedder}': "
            f"{_shown(settings.embedder_options)}, not {_shown(options)}",
            hint=hint,
        )
    if words and words != words_of(settings):
        raise UsageError(
            f"collection '{name}' has chunks of {words_of(settings)} words, not {words}", hint=hint
        )


def _shown(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items()) or "none"


def languages_of(found: Found, reader: Reader, extra: Iterable[str] = ()) -> tuple[str, ...]:
    """The languages of a sample of files, most frequent first.

    :param extra: texts that no file holds.
    """
    paths = sorted(
        path
        for path in found.files
        if reader.loader_name(path, found.rules_of(path), named=path in found.named)
    )
    step = max(1, len(paths) // SAMPLE)
    languages = [language_of(text) for text in extra]
    for path in paths[::step][:SAMPLE]:
        size, mtime = found.files[path]
        read = reader.read(path, size, mtime, found.rules_of(path), named=path in found.named)
        if read.document and read.document.chunks:
            languages.append(
                language_of("\n".join(chunk.text for chunk in read.document.chunks[:20]))
            )
    return most_frequent(languages, _SHARE)


async def create(
    store: VectorStore,
    name: str,
    plugins: Plugins,
    languages: tuple[str, ...],
    *,
    embedder: str | None = None,
    options: Mapping[str, Any] | None = None,
    words: int | None = None,
) -> Embedder:
    """Make a collection; the embedder it was made with.

    :param embedder: its name; by language where it is left out.
    """
    made = open_embedder(plugins, embedder or best_embedder(languages), options)
    settings = await new_settings(made, options or {}, chunker_name(words or WORDS))
    (await asyncio.to_thread(store.create, name, settings)).close()
    return made
