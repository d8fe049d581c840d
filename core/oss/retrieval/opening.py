"""Stores, embedders and retrievers by name, as profiles and commands ask for them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError, UsageError
from oss.contracts.store import CollectionSettings, StoreFeature
from oss.plugins.options import validate
from oss.retrieval.folders import collections_dir
from oss.retrieval.search import SearchOptions, StoreRetriever

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oss.contracts.retriever import Embedder, Reranker, Retriever
    from oss.contracts.store import VectorStore
    from oss.plugins.manager import Plugins
    from oss.profile.schema import RetrieverTable

DEFAULT_STORE = "qdrant"
ENGLISH_EMBEDDER = "onnx"
MULTILINGUAL_EMBEDDER = "multilingual"


def open_store(
    plugins: Plugins, name: str = DEFAULT_STORE, options: Mapping[str, Any] | None = None
) -> VectorStore:
    """A store with its options; where it keeps no sparse vectors, with an index of them beside it.

    :raises ConfigError: unknown, not installed, or a wrong option.
    """
    complete = validate(plugins.find("stores", name), options or {}, f"retriever.{name}")
    folder = collections_dir()
    store: VectorStore = plugins.load("stores", name)(folder, **complete)
    if StoreFeature.SPARSE in store.features:
        return store
    from oss.retrieval.completing import complete_store

    return complete_store(store, folder)


def open_embedder(
    plugins: Plugins, name: str, options: Mapping[str, Any] | None = None
) -> Embedder:
    """An embedder with its options.

    :raises ConfigError: unknown, not installed, or a wrong option.
    """
    complete = validate(plugins.find("embedders", name), options or {}, f"embedder.{name}")
    embedder: Embedder = plugins.load("embedders", name)(**complete)
    return embedder


def embedder_of(plugins: Plugins, settings: CollectionSettings) -> Embedder:
    """The embedder that a collection was made with."""
    return open_embedder(plugins, settings.embedder, settings.embedder_options)


def best_embedder(languages: tuple[str, ...]) -> str:
    """Which embedder fits documents in these languages: the English one is faster and better at
    English, and knows nothing else.
    """
    return ENGLISH_EMBEDDER if set(languages) <= {"en"} else MULTILINGUAL_EMBEDDER


async def new_settings(
    embedder: Embedder, options: Mapping[str, Any], chunker: str
) -> CollectionSettings:
    """Settings for a new collection; asks the embedder for a vector where only that tells its
    dimension.
    """
    dimension = embedder.dimension
    if not dimension:
        dimension = len(await embedder.embed_query("dimension"))
        await embedder.close()  # connections belong to the loop that they were opened in
    return CollectionSettings(
        embedder=embedder.name,
        dimension=dimension,
        embedder_options=dict(options),
        fingerprint=embedder.fingerprint,
        chunker=chunker,
    )


def unfit_languages(embedder: Embedder, languages: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the languages that the embedder was not made for: its vectors of such texts say
    little, and search has only words to go by.
    """
    if embedder.languages is None:
        return ()
    return tuple(language for language in languages if language not in embedder.languages)


def open_retriever(
    table: RetrieverTable, plugins: Plugins, *, keep_open: bool = False
) -> Retriever | None:
    """The profile's retriever, or ``None`` where it names none.

    :param keep_open: hold collections between searches; see :class:`StoreRetriever`.
    :raises ConfigError: unknown, not installed, or a wrong option.
    """
    if table.name is None:
        return None
    options = table.options.get(table.name, {})
    if table.name in plugins.offers("retrievers"):
        complete = validate(
            plugins.find("retrievers", table.name), options, f"retriever.{table.name}"
        )
        retriever: Retriever = plugins.load("retrievers", table.name)(**complete)
        return retriever
    if table.name not in plugins.offers("stores"):
        known = [*plugins.offers("stores"), *plugins.offers("retrievers")]
        raise ConfigError(
            f"unknown retriever '{table.name}'", hint=f"known: {', '.join(known) or 'none'}"
        )
    if not table.collections:
        raise ConfigError(
            "the profile's retriever names no collections",
            hint='write [retriever] collections = ["NAME"]; oss docs list shows them',
        )
    return StoreRetriever(
        open_store(plugins, table.name, options),
        table.collections,
        partial(embedder_of, plugins),
        SearchOptions(
            mode=table.mode,
            fusion=table.fusion,
            diversity=table.diversity,
            neighbours=table.neighbours,
        ),
        reranker_for=reranker_maker(plugins, table.reranker),
        keep_open=keep_open,
    )


def reranker_maker(plugins: Plugins, name: str | None) -> Any:
    """Makes the named reranker from the embedder of what is searched, or ``None`` for none.

    :raises ConfigError: unknown.
    """
    if name is None:
        return None
    complete = validate(plugins.find("rerankers", name), {}, f"reranker.{name}")

    def make(embedder: Embedder) -> Reranker:
        reranker: Reranker = plugins.load("rerankers", name)(embedder=embedder, **complete)
        return reranker

    return make


def check_collections(store: VectorStore, names: tuple[str, ...]) -> None:
    """See that all exist, before anything slow begins.

    :raises UsageError: one does not.
    """
    from oss.retrieval.folders import no_such_collection

    known = list(store.list())
    for name in names:
        if name not in known:
            raise no_such_collection(name, known)
    if not names:
        raise UsageError("name at least one collection", hint="oss docs list shows them")
