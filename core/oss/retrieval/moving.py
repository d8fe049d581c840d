"""Collections copied between stores, written out for other programs, put aside and brought back."""

from __future__ import annotations

import math
import shutil
import tarfile
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from oss.contracts.errors import StorageError, UsageError
from oss.contracts.store import StoreFeature
from oss.retrieval.folders import CollectionFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oss.contracts.store import Collection, Hit, Point, VectorStore

Layout = Literal["langchain", "haystack", "llamaindex"]
_BATCH = 256
_SAMPLES = 20
_DEPTH = 10
_NEAR = 1e-4
_LEAST = 0.8
"""Share of the first hits below which a copy is taken for wrong, and not for an index that is not
exact.
"""


@dataclass(frozen=True)
class Moved:
    """What a copy was found to be.

    :param overlap: share of the first ten hits that both have, over twenty searches; an index
        that is not exact may differ a little.
    """

    points: int
    overlap: float


def migrate(
    source: VectorStore,
    name: str,
    target: VectorStore,
    new_name: str,
    progress: Callable[[int, int, str], None],
) -> Moved:
    """Copy a collection with its vectors, and compare counts and results.

    :raises UsageError: the target exists already.
    :raises StorageError: the copy is not the same; it is removed again.
    """
    if target.exists(new_name):
        raise UsageError(
            f"collection '{new_name}' exists where it should go", hint="give --as another name"
        )
    with source.open(name) as old:
        total = old.count()
        try:
            with target.create(new_name, old.settings) as new:
                done = 0
                batch: list[Point] = []
                for point in old.scroll(vectors=True):
                    batch.append(point)
                    if len(batch) == _BATCH:
                        new.upsert(batch)
                        done += len(batch)
                        progress(done, total, f"copying {name}")
                        batch = []
                new.upsert(batch)
                new.flush()
                new.optimize()
                found = Moved(new.count(), _overlap(old, new))
                if found.points != total:
                    raise StorageError(
                        f"'{new_name}' has {found.points} chunks of {total}: it was removed again",
                        hint="try again; see that nothing else writes to either",
                    )
                if found.overlap < _LEAST:
                    raise StorageError(
                        f"searches in '{new_name}' give {found.overlap:.0%} of what they gave: "
                        "it was removed again",
                        hint="see that the store is one that this program knows, and not damaged",
                    )
        except BaseException:
            if target.exists(new_name):
                target.drop(new_name)
            raise
    return found


def _overlap(old: Collection, new: Collection) -> float:
    """Searches with vectors that are there, and with words where both have them: a few from the
    beginning of a scroll. A chunk that is not the same there counts as nothing found.
    """
    shares = []
    words = StoreFeature.SPARSE in old.features & new.features
    for point in islice(old.scroll(vectors=True), _SAMPLES):
        copies = new.fetch([point.id])
        same = [(c.text, dict(c.metadata)) for c in copies] == [(point.text, dict(point.metadata))]
        shares.append(_share(*(c.dense(point.dense or (), _DEPTH) for c in (old, new))) * same)
        if words and point.sparse:
            shares.append(_share(*(c.sparse(point.sparse, _DEPTH) for c in (old, new))))
    return sum(shares) / len(shares) if shares else 1.0


def _share(one: list[Hit], other: list[Hit]) -> float:
    """How much of one search's result is in the other's; what is just as good as the last that
    was found may stand in its place.
    """
    if not one:
        return 1.0
    ids, last = {hit.id for hit in one}, one[-1].score
    return sum(h.id in ids or math.isclose(h.score, last, rel_tol=_NEAR) for h in other) / len(one)


def export_rows(
    collection: Collection, layout: Layout, *, vectors: bool
) -> Iterator[dict[str, Any]]:
    """Each chunk as another library's document store keeps it.

    ``langchain``: ``page_content`` and ``metadata``; ``haystack``: ``content`` and ``meta``;
    ``llamaindex``: ``text`` and ``metadata``.
    """
    text, metadata = {
        "langchain": ("page_content", "metadata"),
        "haystack": ("content", "meta"),
        "llamaindex": ("text", "metadata"),
    }[layout]
    for point in collection.scroll(vectors=vectors):
        row: dict[str, Any] = {
            "id": point.id,
            text: point.text,
            metadata: dict(point.metadata),
        }
        if vectors:
            row["embedding"] = list(point.dense or ())
            if point.sparse:
                row["sparse_embedding"] = {
                    "indices": list(point.sparse.indices),
                    "values": list(point.sparse.values),
                }
        yield row


def backup(root: Path, name: str, file: Path) -> int:
    """A collection of this machine as a compressed archive; returns its size in bytes.

    :raises UsageError: there is none of this name here, or the file exists.
    :raises BusyError: another process has it open, or is indexing into it.
    """
    from oss.retrieval.indexing.manifest import Manifest

    folder = CollectionFolder(root, name)
    if not folder.exists:
        raise UsageError(
            f"collection '{name}' is not on this machine", hint="oss docs list shows what is"
        )
    if file.exists():
        raise UsageError(f"{file} exists", hint="choose another name, or move it away")
    folder.lock()
    try:
        # The manifest goes first, and is no one else's then: a row may be behind its chunks, but
        # never before them. Files are mostly holes, which compress to nothing.
        with (
            closing(Manifest(folder.path / "manifest.sqlite")),
            tarfile.open(file, "x:gz", compresslevel=1) as archive,
        ):
            for item in sorted(folder.path.iterdir(), key=lambda item: item.is_dir()):
                if item.name != "lock":
                    archive.add(item, f"collection/{item.name}")
    except OSError as error:
        file.unlink(missing_ok=True)
        raise StorageError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        folder.unlock()
    return file.stat().st_size


def restore(root: Path, file: Path, name: str) -> None:
    """A collection out of an archive of :func:`backup`.

    :raises UsageError: the name is taken, or it is no such archive.
    """
    folder = CollectionFolder(root, name)
    if folder.exists:
        raise UsageError(f"collection '{name}' exists", hint="give --as another name")
    folder.lock()
    scratch = folder.path / "restoring"
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        with tarfile.open(file, "r:gz") as archive:
            archive.extractall(scratch, filter="data")  # no links, no paths outside
        inside = scratch / "collection"
        if not (inside / "collection.json").is_file():
            raise UsageError(f"{file} is no backup of a collection")
        for item in inside.iterdir():
            if item.name != "collection.json":
                target = folder.path / item.name
                shutil.rmtree(target, ignore_errors=True)
                item.rename(target)
        (inside / "collection.json").rename(folder.path / "collection.json")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UsageError(f"{file} is no whole backup of a collection: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        folder.unlock()
        if not folder.exists:
            shutil.rmtree(folder.path, ignore_errors=True)
