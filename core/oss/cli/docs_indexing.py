"""What ``oss docs add`` and ``oss docs sync`` share: a run into one collection."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from oss.cli.counting import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.contracts.retriever import Embedder
    from oss.contracts.store import VectorStore
    from oss.plugins.manager import Plugins
    from oss.retrieval.indexing.indexer import Indexer, Plan
    from oss.retrieval.indexing.manifest import Manifest
    from oss.retrieval.indexing.reading import Reader
    from oss.retrieval.indexing.report import Report
    from oss.retrieval.indexing.roots import Root


class Task:
    """Indexing into one collection, with progress on the terminal."""

    def __init__(self, store: VectorStore, plugins: Plugins, name: str) -> None:
        self.store = store
        self.plugins = plugins
        self.name = name

    def add(
        self,
        roots: Sequence[Root],
        *,
        embedder: str | None,
        options: Mapping[str, Any],
        words: int | None,
        text: bytes | None,
        title: str,
    ) -> Report:
        """Remember roots, and index what is in them.

        :param options: of the embedder, for a new collection.
        :param text: a text that no file holds, to be added under ``title``.
        """
        from oss.retrieval.folders import check_name
        from oss.retrieval.indexing.creating import check_wanted
        from oss.retrieval.indexing.indexer import check_manifest, compare
        from oss.retrieval.indexing.manifest import indexing

        check_name(self.name)
        with indexing(self.store, self.name) as manifest:
            exists = self.store.exists(self.name)
            if exists:
                check_wanted(self.name, self.store.settings(self.name), embedder, options, words)
            else:
                manifest.clear(roots=True)  # of a collection that was removed, or never made
            before = {(root.path, root.only): root.rules for root in manifest.roots()}
            full = any(before.get((r.path, r.only), r.rules) != r.rules for r in roots)
            manifest.add_roots(roots)
            made = None if exists else self._create(roots, embedder, options, words, text, title)
            check_manifest(manifest, self.store.settings(self.name))
            reader = self._reader(roots)
            plan = compare(manifest, roots, whole=False, full=full)
            return self._run(manifest, reader, plan, made, text, title)

    def sync(self, *, full: bool = False) -> Report:
        """Bring the collection up to date with its roots."""
        from oss.retrieval.indexing.indexer import check_manifest, compare
        from oss.retrieval.indexing.manifest import indexing

        with indexing(self.store, self.name) as manifest:
            check_manifest(manifest, self.store.settings(self.name))
            roots = manifest.roots()
            plan = compare(manifest, roots, whole=True, full=full)
            return self._run(manifest, None, plan, None, None, "")

    def forget(self, path: str) -> None:
        """Forget a root.

        :raises UsageError: it was never added.
        """
        import os

        from oss.contracts.errors import UsageError
        from oss.retrieval.indexing.manifest import indexing

        path = os.path.abspath(path)  # noqa: PTH100  links stay as they were given
        with indexing(self.store, self.name) as manifest:
            known = [root.path for root in manifest.roots()]
            if path not in known:
                raise UsageError(
                    f"'{path}' was not added to '{self.name}'",
                    hint=f"added were: {', '.join(known) or 'none'}",
                )
            manifest.remove_root(path)

    def roots(self) -> list[Root]:
        """What is remembered."""
        from oss.retrieval.indexing.manifest import indexing

        with indexing(self.store, self.name) as manifest:
            return manifest.roots()

    def _reader(self, roots: Sequence[Root]) -> Reader:
        from oss.retrieval.indexing.creating import words_of
        from oss.retrieval.indexing.reading import Reader

        reader = Reader(self.plugins, words_of(self.store.settings(self.name)))
        for root in roots:
            reader.check(root.rules)
        return reader

    def _create(
        self,
        roots: Sequence[Root],
        embedder: str | None,
        options: Mapping[str, Any],
        words: int | None,
        text: bytes | None,
        title: str,
    ) -> Embedder:
        """Make the collection, with the embedder that fits the languages of a sample."""
        import asyncio

        from oss.retrieval.chunking import WORDS
        from oss.retrieval.indexing.creating import create, languages_of
        from oss.retrieval.indexing.reading import PLAIN, Reader
        from oss.retrieval.indexing.walking import find_files

        reader = Reader(self.plugins, words or WORDS)
        for root in roots:
            reader.check(root.rules)
        languages: tuple[str, ...] = ()
        if embedder is None:
            given = reader.cut(text, title, PLAIN).chunks if text else ()
            sample = [chunk.text for chunk in given[:20]]
            languages = languages_of(find_files(roots), reader, sample)
        made = create(
            self.store,
            self.name,
            self.plugins,
            languages,
            embedder=embedder,
            options=options,
            words=words,
        )
        return asyncio.run(made)

    def _run(
        self,
        manifest: Manifest,
        reader: Reader | None,
        plan: Plan,
        embedder: Embedder | None,
        text: bytes | None,
        title: str,
    ) -> Report:
        """Do the plan; a run without anything to do opens neither embedder nor collection."""
        import asyncio

        from oss.cli.interrupt import Interrupted, interruptible
        from oss.retrieval.indexing.indexer import Indexer, unchanged
        from oss.retrieval.opening import embedder_of

        if text is None and (same := unchanged(self.name, manifest, plan)):
            return same
        reader = reader or self._reader(manifest.roots())
        embedder = embedder or embedder_of(self.plugins, self.store.settings(self.name))
        indexer = Indexer(self.store, self.name, manifest, reader, embedder)
        try:
            return asyncio.run(interruptible(_work(indexer, plan, text, title)))
        except Interrupted as interrupted:
            done = indexer.report.added + indexer.report.changed
            click.echo(
                f"stopped; {count(done, 'file')} finished, in '{self.name}' to stay; "
                f"'oss docs sync {self.name}' does the rest",
                err=True,
            )
            sys.exit(interrupted.exit_code)


async def _work(indexer: Indexer, plan: Plan, text: bytes | None, title: str) -> Report:
    from oss.cli.docs_report import drawn
    from oss.cli.progress import transfer_progress
    from oss.retrieval.indexing.reading import PLAIN
    from oss.retrieval.indexing.roots import Rules
    from oss.retrieval.opening import unfit_languages

    embedder = indexer.embedder
    if plan.todo or text is not None:
        with transfer_progress() as progress:
            await embedder.prepare(progress)
    try:
        with drawn(indexer.name) as watcher:
            report = await indexer.run(plan, watcher)
            if text is not None:
                loader = indexer.reader.loader_name(title, Rules(), named=True)
                report = await indexer.add(text, title, loader or PLAIN)
    finally:
        await embedder.close()
    if unfit := unfit_languages(embedder, indexer.store.settings(indexer.name).languages):
        click.echo(
            f"warning: embedder '{embedder.name}' was not made for: {', '.join(unfit)}; "
            "a collection of its own with --embedder multilingual finds better",
            err=True,
        )
    return report
