"""Filters handed down to a store as far as it can apply them; the rest is checked afterwards.

A store's own filter may let through more than was asked, never less; whoever searches looks again
with :func:`oss.retrieval.filters.holds` where it is not exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from oss.contracts.filters import AllOf, AnyOf, Compare, Not, OneOf
from oss.retrieval.fields import INDEXED
from oss.retrieval.filters import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from oss.contracts.filters import Filter, Scalar
    from oss.contracts.store import Hit, Point

Native = TypeVar("Native")
_FIRST = 4
_MORE = 8


class Pushdown(Generic[Native]):
    """How one store says filters.

    :param compare: of a comparison on a field of :data:`oss.retrieval.fields.INDEXED` with a
        value of that field's type; ``None`` where the store cannot say it exactly. Asked only for
        ``=``, ``!=`` and, of numbers, ``<``, ``<=``, ``>``, ``>=``.
    :param all_of: of two parts or more, and so ``any_of``.
    :param negate: the exact opposite, lacking fields included; ``None`` where the store has none.
    """

    def __init__(
        self,
        compare: Callable[[Compare], Native | None],
        all_of: Callable[[list[Native]], Native],
        any_of: Callable[[list[Native]], Native],
        negate: Callable[[Native], Native] | None = None,
    ) -> None:
        self._compare = compare
        self._all_of = all_of
        self._any_of = any_of
        self._negate = negate

    def translate(self, where: Filter | None) -> tuple[Native | None, bool]:
        """As much of a filter as the store can say; ``None`` restricts nothing. And whether that
        lets through just what the filter does.
        """
        if where is None:
            return None, True
        if isinstance(where, OneOf):
            where = AnyOf(tuple(Compare(where.field, "=", value) for value in where.values))
        if isinstance(where, AllOf | AnyOf):
            parts = [self.translate(part) for part in where.parts]
            natives = [native for native, _ in parts if native is not None]
            exact = all(exact for _, exact in parts)
            if isinstance(where, AllOf):
                return _joined(natives, self._all_of), exact
            if not natives or len(natives) < len(parts):
                return None, False
            return _joined(natives, self._any_of), exact
        if isinstance(where, Not):
            inner, exact = self.translate(where.part)
            if self._negate is None or inner is None or not exact:
                return None, False
            return self._negate(inner), True
        native = self._compare(where) if _plain(where) else None
        return native, native is not None


def _joined(natives: list[Native], join: Callable[[list[Native]], Native]) -> Native | None:
    if not natives:
        return None
    return natives[0] if len(natives) == 1 else join(natives)


def _plain(where: Compare) -> bool:
    """Whether a comparison is one of a field's own type, which a typed column can answer."""
    kind = INDEXED.get(where.field)
    number = isinstance(where.value, int | float) and not isinstance(where.value, bool)
    if kind == "keyword":
        return isinstance(where.value, str) and where.operator in ("=", "!=")
    return kind == "integer" and number and where.operator != "~"


def typed_value(metadata: Mapping[str, Any], field: str) -> Scalar | None:
    """A field's value for a typed column; ``None`` where it is missing or of another type."""
    value = metadata.get(field)
    if INDEXED[field] == "keyword":
        return value if isinstance(value, str) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def search_deeper(
    search: Callable[[int], Sequence[Hit]],
    fetch: Callable[[Sequence[str]], Sequence[Point]],
    where: Filter,
    k: int,
) -> list[Hit]:
    """The first ``k`` hits that a filter holds for, of a search that applies none, or not all of
    it: asks for more until there are enough, or no more.

    :param fetch: points by id, as :meth:`oss.contracts.store.Collection.fetch`.
    """
    ask = k * _FIRST
    known: dict[str, bool] = {}
    while True:
        hits = search(ask)
        fresh = [hit for hit in hits if hit.id not in known]
        found = {point.id: point.metadata for point in fetch([hit.id for hit in fresh])}
        known.update({hit.id: hit.id in found and holds(where, found[hit.id]) for hit in fresh})
        passing = [hit for hit in hits if known[hit.id]]
        if len(passing) >= k or len(hits) < ask:
            return passing[:k]
        ask *= _MORE
