"""Chunks that stand beside each other in a document, made one passage."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import TYPE_CHECKING

from oss.contracts.filters import AllOf, Compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oss.contracts.store import Collection, Point
    from oss.retrieval.search import Found


def widen(found: Sequence[Found], collections: Mapping[str, Collection], reach: int) -> list[Found]:
    """Each hit with ``reach`` chunks before and after it; what two share is the better's."""
    taken = {item.point.id for item in found}
    wide = []
    for item in found:
        number = item.point.metadata.get("chunk")
        if not isinstance(number, int):
            wide.append(item)
            continue
        around = AllOf(
            (
                Compare("source", "=", item.point.metadata["source"]),
                Compare("chunk", ">=", number - reach),
                Compare("chunk", "<=", number + reach),
            )
        )
        near = {p.metadata["chunk"]: p for p in collections[item.collection].scroll(around)}
        run = [near.get(number, item.point)]
        for step in (-1, 1):
            at = number + step
            while at in near and near[at].id not in taken:
                taken.add(near[at].id)
                run.insert(0 if step < 0 else len(run), near[at])
                at += step
        wide.append(dataclasses.replace(item, point=_joined(run)))
    return wide


def merge_adjacent(found: Sequence[Found]) -> list[Found]:
    """Hits whose chunks follow each other in one source become one, in the place of the better."""
    groups: list[list[Found]] = []
    for item in found:
        touching = [group for group in groups if any(_touch(item, other) for other in group)]
        if not touching:
            groups.append([item])
            continue
        first = touching[0]
        first.append(item)
        for other in touching[1:]:  # this hit closes the gap between two groups
            first += other
            groups.remove(other)
    merged = []
    for group in groups:
        if len(group) == 1:
            merged.append(group[0])
            continue
        ordered = sorted(group, key=lambda item: item.point.metadata["chunk"])
        point = _joined([item.point for item in ordered])
        best = max(group, key=lambda item: item.score)
        merged.append(dataclasses.replace(best, point=point))
    return merged


def _touch(one: Found, other: Found) -> bool:
    if one.collection != other.collection:
        return False
    a, b = one.point.metadata, other.point.metadata
    if a.get("source") != b.get("source") or a.get("chunk") is None or b.get("chunk") is None:
        return False
    first, last = _numbers(one.point)
    start, end = _numbers(other.point)
    return bool(first == end + 1 or start == last + 1)


def _numbers(point: Point) -> tuple[int, int]:
    first = point.metadata["chunk"]
    return first, point.metadata.get("last_chunk", first)


def _joined(points: Sequence[Point]) -> Point:
    """One point with the texts of all; where to find it is where the first begins."""
    if len(points) == 1:
        return points[0]
    first, last = points[0], points[-1]
    metadata = dict(first.metadata)
    metadata["last_chunk"] = _numbers(last)[1]
    if "end" in last.metadata:
        metadata["end"] = last.metadata["end"]
    texts = [first.text]
    for before, point in pairwise(points):
        heading = point.metadata.get("heading")
        if heading and heading != before.metadata.get("heading"):
            texts.append(str(heading))
        texts.append(point.text)
    return dataclasses.replace(first, text="\n\n".join(texts), metadata=metadata)
