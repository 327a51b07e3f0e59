"""Pages of documents that SQL builds, read in slices; the same for every database."""

from typing import NamedTuple, Protocol

from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.messages import PAGE_BYTES

# rows of a slice, which bounds the excess read where values are large; the first slice of a page is smaller
SLICE_ROWS = 256
FIRST_SLICE_ROWS = 64
# rows that one step of a page reads where none is wanted, and rows of one step of measuring
LOOK_ROWS = 4096
MEASURE_ROWS = 512


class Page(NamedTuple):
    """Documents as a JSON array, and the key after which there may be more."""

    text: bytes
    shown: int
    next: str | None


class PageSource(Protocol):
    """The statements of one page."""

    def read_slice(
        self, after: str | None, rows: int, left: int, bytes: int
    ) -> tuple[str | None, str | None, int, int, int, int]:
        """Read `rows` rows after that key, and the wanted documents among them, up to `left` and `bytes`.

        Return the documents, joined; the last key that fits; the numbers of documents, of rows that fit, and of rows
        read; and the size of the documents.
        """

    def look_behind(self, after: str | None, rows: int) -> tuple[int | None, int]:
        """Return whether a wanted row is among the next `rows` rows, and their number."""


def read_page(source: PageSource, cost: Cost, limit: int) -> Page:
    """Read up to `limit` documents, or a page's worth of bytes and one more, or the documents in LOOK_ROWS rows."""
    parts: list[str] = []
    shown = size = looked = 0
    after: str | None = None
    last: str | None = None
    rows = min(limit, FIRST_SLICE_ROWS)
    while True:
        text, at, documents, taken, seen, bytes_ = source.read_slice(after, rows, limit - shown, PAGE_BYTES - size)
        cost.add(rows=seen, bytes=bytes_)
        if text:
            parts.append(text)
        shown, size, looked, last = shown + documents, size + bytes_, looked + seen, at or last
        if taken == seen < rows:
            last = None
            break
        after = at or after
        if shown >= limit or size >= PAGE_BYTES:
            more, seen = source.look_behind(after, SLICE_ROWS)
            cost.add(rows=seen)
            if not more and seen < SLICE_ROWS:
                last = None
            break
        if looked >= LOOK_ROWS:
            break
        rows = SLICE_ROWS
    return Page(f"[{','.join(parts)}]".encode(), shown, last)
