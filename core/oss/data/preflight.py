"""What training asks of its data before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.contracts.errors import UsageError
from oss.data.checker import HeldOut
from oss.data.checking import CODES, examine
from oss.data.near import has_library

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.data.rows import Fault, Row


def preflight(rows: Sequence[Row], held_out: Sequence[Row] = ()) -> tuple[str, ...]:
    """Refuse what `oss data check` calls an error; its warnings come back, a line for each kind.

    :param held_out: rows that none of the others may ask again.
    :raises UsageError: a row that cannot be learned, or must not be, with its file and line.
    """
    doubts: dict[str, list[Fault]] = {}
    errors: list[Fault] = []
    for fault in _faults(rows, held_out):
        if fault.fatal:
            errors.append(fault)
        else:
            doubts.setdefault(fault.code, []).append(fault)
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        codes = sorted({fault.code for fault in errors} - {"leak"})
        hint = "`oss data check` lists all; "
        if codes:
            hint += f"`oss data filter FILE --where 'not faults in ({', '.join(codes)})' -o GOOD` "
            hint += "leaves them out"
        else:
            hint += "`oss data split` makes two parts that share no question"
        raise UsageError(f"{errors[0]}{more}", hint=hint)
    return tuple(
        f"{found[0]} ({CODES[code]}; {len(found)} in all: `oss data check`)"
        for code, found in doubts.items()
    )


def _faults(rows: Sequence[Row], held_out: Sequence[Row]) -> Iterator[Fault]:
    held = HeldOut(near=bool(held_out) and has_library())
    for row in held_out:
        held.add(row)
        yield from examine(row)
    for row in rows:
        yield from examine(row)
        if held_out:
            yield from held.leaks(row)
