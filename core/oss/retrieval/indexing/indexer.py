"""The run: compares files with the manifest, reads what changed, embeds what is new, writes.

A batch goes in three steps, each of which may be the last: its vectors are made (into the cache),
its chunks are written and flushed, its rows are committed. A run that is killed anywhere is
finished by the next. The collection is open only while it is written to, so that others can
search it in between.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oss.contracts.errors import StorageError
from oss.contracts.filters import OneOf
from oss.retrieval.ids import chunk_ids, text_hash
from oss.retrieval.indexing.manifest import manifest_path
from oss.retrieval.indexing.reading import Read, Reader, suffix_of
from oss.retrieval.indexing.report import Report, Steps, Watcher, unwatched
from oss.retrieval.indexing.vectors import StoredVectors, embed_missing
from oss.retrieval.indexing.walking import Found, find_files
from oss.retrieval.writing import CollectionWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

    from oss.contracts.retriever import Embedder
    from oss.contracts.store import CollectionSettings, VectorStore
    from oss.retrieval.indexing.manifest import Manifest, Row
    from oss.retrieval.indexing.roots import Root

BATCH_CHUNKS = 512
BATCH_FILES = 200
ROOM = 64 * 2**20
"""Bytes that must be free before a batch is written: a store that maps its files into memory does
not get an error from a full disk, it gets killed.
"""
_UNFINISHED = "unfinished"
_MADE_BY = "made by"


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    :param todo: files that are new, or not as they were.
    :param gone: known files that are not there any more.
    """

    found: Found
    todo: tuple[str, ...]
    gone: tuple[str, ...]


def compare(manifest: Manifest, roots: Sequence[Root], *, whole: bool, full: bool = False) -> Plan:
    """Look at the files.

    :param whole: the roots are all there are, so that what none of them has is gone; else only
        what is not on the disk any more is.
    :param full: read every file again.
    """
    found = find_files(roots)
    if not full and manifest.settled(found.files):
        return Plan(found, (), ())
    for path in [path for path in found.files if not (path.isascii() or _is_text(path))]:
        del found.files[path]
        found.faults[path] = "has a name that is not UTF-8; rename it"
    known = manifest.known()
    for path in [path for path in found.faults if path in known and _removed(path)]:
        del found.faults[path]
    if found.files == known and not full:
        manifest.settle(found.files)
        return Plan(found, (), ())
    todo = [path for path, seen in found.files.items() if full or known.get(path) != seen]
    missing = [path for path in known if path not in found.files]
    if not whole:
        inside = [f"{root.path.rstrip(os.sep)}{os.sep}" for root in found.folders]
        missing = [
            path for path in missing if path.startswith(tuple(inside)) and not os.path.lexists(path)
        ]
    gone = [path for path in missing if not (found.faults and found.may_have(path))]
    return Plan(found, tuple(sorted(todo)), tuple(gone))


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _removed(path: str) -> bool:
    """Whether a file is gone, and not the disk that it was on."""
    return not os.path.lexists(path) and os.path.isdir(os.path.dirname(path))  # noqa: PTH112, PTH120


class Indexer:
    """Brings a collection to what its files say. The collection exists.

    :param embedder: the one that the collection was made with.
    """

    def __init__(
        self,
        store: VectorStore,
        name: str,
        manifest: Manifest,
        reader: Reader,
        embedder: Embedder,
    ) -> None:
        self.store = store
        self.name = name
        self.manifest = manifest
        self.reader = reader
        self.embedder = embedder
        self.report = Report(name)
        self._watcher: Watcher = unwatched
        self._steps = Steps()
        self._touched = 0

    async def run(self, plan: Plan, watcher: Watcher = unwatched) -> Report:
        """Do what is planned. :attr:`report` says what was done, also when this is stopped.

        :param watcher: is told of each step.
        :raises StorageError: the disk is full; what was written before is kept.
        :raises BusyError: another process has the collection open.
        """
        files = plan.found.files
        self._watcher = watcher
        self.report = _known(self.name, self.manifest, plan)
        resumed = bool(self.manifest.note(_UNFINISHED))
        self._steps = Steps(len(plan.todo), size=sum(files[path][0] for path in plan.todo))
        self.manifest.set_note(_UNFINISHED, "1")
        with closing(StoredVectors(self.embedder.fingerprint)) as vectors:
            await self._move(plan, vectors)
            async with aclosing(self._batches(plan)) as batches:
                async for batch in batches:
                    await self._write(batch, vectors, resumed=resumed)
            await self._finish(plan, vectors, resumed=resumed)
        self.manifest.set_note(_UNFINISHED, "")
        return self.report

    async def add(self, data: bytes, source: str, loader: str) -> Report:
        """Add a text that no file holds; it has no row, and no sync removes it.

        :raises UsageError: it cannot be read.
        """
        document = self.reader.cut(data, source, loader)
        with closing(StoredVectors(self.embedder.fingerprint)) as vectors:
            texts = {text_hash(chunk.search_text): chunk.search_text for chunk in document.chunks}
            await embed_missing(texts, self.embedder, vectors, self._told)
            async with self._writer(vectors) as writer:
                (written,) = await writer.write([document])
                await writer.finish()
        self.report.added = 1
        self.report.embedded, self.report.kept = written.embedded, written.kept
        return self.report

    @asynccontextmanager
    async def _writer(self, vectors: StoredVectors) -> AsyncIterator[CollectionWriter]:
        collection = await asyncio.to_thread(self.store.open, self.name)
        try:
            yield CollectionWriter(collection, self.embedder, vectors)
        finally:
            await asyncio.to_thread(collection.close)

    async def _batches(self, plan: Plan) -> AsyncGenerator[list[Read], None]:
        """Files read, cut and put together; the next ones are read while these are embedded."""
        before = self.manifest.rows(plan.todo)
        batches = self._read(plan, before)
        pending = asyncio.create_task(asyncio.to_thread(next, batches, None))
        try:
            while batch := await pending:
                pending = asyncio.create_task(asyncio.to_thread(next, batches, None))
                yield batch
        finally:
            pending.cancel()

    def _read(self, plan: Plan, before: dict[str, Row]) -> Iterator[list[Read]]:
        found = plan.found
        batch: list[Read] = []
        chunks = 0
        for path in plan.todo:
            size, mtime = found.files[path]
            last = before.get(path)
            read = self.reader.read(
                path,
                size,
                mtime,
                found.rules_of(path),
                named=path in found.named,
                before=last,
            )
            batch.append(read)
            chunks += len(read.document.chunks) if read.document else 0
            if chunks >= BATCH_CHUNKS or len(batch) >= BATCH_FILES:
                yield batch
                batch, chunks = [], 0
        if batch:
            yield batch

    async def _move(self, plan: Plan, vectors: StoredVectors) -> None:
        """Keep the vectors of files that are gone, for when they come again under other names."""
        gone = [path for path, row in self.manifest.rows(plan.gone).items() if row.chunks]
        if not gone or not plan.todo:
            return

        async with self._writer(vectors) as writer:
            for start in range(0, len(gone), 100):
                some = OneOf("source", tuple(gone[start : start + 100]))
                vectors.put(
                    {
                        point.metadata["sha256"]: point.dense
                        for point in writer.collection.scroll(some, vectors=True)
                        if point.dense and "sha256" in point.metadata
                    }
                )

    async def _write(self, batch: Sequence[Read], vectors: StoredVectors, *, resumed: bool) -> None:
        before = self.manifest.rows([read.row.path for read in batch])
        documents = [read.document for read in batch if read.document]
        emptied = [
            read.row.path
            for read in batch
            if not (read.document or read.passing)
            and read.row.path in before
            and before[read.row.path].chunks > read.row.chunks
        ]
        texts = {
            name: chunk.search_text
            for document in documents
            for chunk, name in zip(
                document.chunks,
                chunk_ids(document.source, (text_hash(c.search_text) for c in document.chunks)),
                strict=True,
            )
        }
        if texts and (before or resumed):
            async with self._writer(vectors) as writer:
                there = await asyncio.to_thread(writer.collection.fetch, list(texts))
            texts = {n: t for n, t in texts.items() if n not in {point.id for point in there}}
        by_hash = {text_hash(text): text for text in texts.values()}
        self.report.embedded += await embed_missing(by_hash, self.embedder, vectors, self._told)
        if documents or emptied:
            self._check_room()
            async with self._writer(vectors) as writer:
                written = await writer.write(documents) if documents else []
                if emptied:
                    await writer.remove(emptied)
                await writer.commit()
                self._touched += writer.changed
            self.report.kept += sum(w.kept for w in written)
        self.manifest.write(read.row for read in batch if not read.passing)
        for read in batch:
            _count(self.report, read, before.get(read.row.path))
        self._steps.done += len(batch)
        self._steps.written += sum(read.row.size for read in batch)
        self._watcher(self._steps)

    def _told(self, count: int) -> None:
        self._steps.chunks += count
        self._watcher(self._steps)

    def _check_room(self) -> None:
        """See that a batch fits.

        :raises StorageError: it may not.
        """
        folder = manifest_path(self.store, self.name).parent
        if not self.store.address and shutil.disk_usage(folder).free < ROOM:
            raise StorageError(
                f"the disk is full at {folder}: less than {ROOM >> 20} MB are free",
                hint="make room; what was indexed is kept, the next sync does the rest",
            )

    async def _finish(self, plan: Plan, vectors: StoredVectors, *, resumed: bool) -> None:
        """Take out what is gone, and bring what is counted over all chunks up to date."""
        rows = self.manifest.rows(plan.gone)
        async with self._writer(vectors) as writer:
            if gone := [path for path, row in rows.items() if row.chunks]:
                await writer.remove(gone)
                await writer.commit()
            writer.changed += self._touched + resumed
            self.manifest.remove(rows)
            self.report.removed = sum(bool(row.loader) and not row.fault for row in rows.values())
            await writer.finish()
        vectors.prune()


def shown(path: str) -> str:
    """A path as text, whatever its bytes."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode()


def unchanged(name: str, manifest: Manifest, plan: Plan) -> Report | None:
    """The report of a run that has nothing to do, or ``None`` where there is something."""
    if plan.todo or plan.gone or manifest.note(_UNFINISHED):
        return None
    return _known(name, manifest, plan)


def _known(name: str, manifest: Manifest, plan: Plan) -> Report:
    """What is as it was. Files that could not be read last time are told again."""
    report = Report(name, unchanged=len(plan.found.files) - len(plan.todo))
    report.faults |= {shown(path): why for path, why in plan.found.faults.items()}
    todo = set(plan.todo)
    for row in manifest.unread():
        if row.path in plan.found.files and row.path not in todo:
            _count(report, Read(row), None)
            report.unchanged -= 1
    return report


def _count(report: Report, read: Read, before: Row | None) -> None:
    row = read.row
    if row.fault:
        report.faults[shown(row.path)] = row.fault
    elif not row.loader:
        suffix = suffix_of(row.path) or "no suffix"
        report.ignored[suffix] = report.ignored.get(suffix, 0) + 1
    elif read.document is None:
        report.unchanged += 1
    elif before is None:
        report.added += 1
    else:
        report.changed += 1


def check_manifest(manifest: Manifest, settings: CollectionSettings) -> None:
    """Forget what was indexed into another collection of the same name."""
    made_by = f"{settings.fingerprint} {settings.chunker} {settings.dimension}"
    if manifest.note(_MADE_BY) != made_by:
        manifest.clear()
        manifest.set_note(_MADE_BY, made_by)
