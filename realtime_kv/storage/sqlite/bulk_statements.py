"""Statements with many rows of parameters: one long VALUES with a few fixed lengths.

Not only for elegance: sqlite3 releases the interpreter lock at every step, and a busy event loop gives it back late.
The rows are bound parameters of one long VALUES, which takes a third of the time of one JSON parameter that SQL parses
again (docs/decisions/0003). VALUES has a few fixed lengths, padded with empty rows, so that few statements are ever
prepared.
"""

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from realtime_kv.storage.sqlite.connections import Cursor

# lengths of a VALUES: at most a third of it is padding
_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
MAX_ROWS = _LENGTHS[-1]


def values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"


def query(cursor: Cursor, sql: Callable[[int], str], rows: Sequence[tuple[Any, ...]], decoder: Any) -> list[Any]:
    """Run a query for `rows`; SQL gathers its result into one JSON text, so that there is one step."""
    found: list[Any] = []
    for start in range(0, len(rows), MAX_ROWS):
        found += decoder.decode(_execute(cursor, sql, rows[start : start + MAX_ROWS]).fetchone()[0])
    return found


def execute(cursor: Cursor, sql: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), MAX_ROWS):
        _execute(cursor, sql, rows[start : start + MAX_ROWS])


def _execute(cursor: Cursor, sql: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> Any:
    length = _LENGTHS[bisect.bisect_left(_LENGTHS, len(rows))]
    parameters = list(itertools.chain.from_iterable(rows))
    # no key column holds NULL: an empty row finds nothing, and is not written
    parameters += [None] * ((length - len(rows)) * len(rows[0]))
    return cursor.execute(sql(length), parameters)
