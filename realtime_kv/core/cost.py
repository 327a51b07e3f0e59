"""What a request has cost: rows and bytes that were looked at, and the units that are charged for them.

One unit is what a `get` or a `set` of a small value costs; it is charged for the request itself, before it is done.
"""

ROWS_PER_UNIT = 64
BYTES_PER_UNIT = 8 * 1024
# the same as a shift, for a request on its way in, which is charged one unit for each so many bytes of it
REQUEST_SHIFT = BYTES_PER_UNIT.bit_length() - 1
# processor time: what decoding and checking a large request takes depends on what is in it
UNIT_SECONDS = 100e-6


class Cost:
    """Counted where rows are read; whole once the work is done."""

    __slots__ = ("bytes", "ops", "rows")

    def __init__(self, *, rows: int = 0, bytes: int = 0, ops: int = 0) -> None:
        self.rows = rows
        self.bytes = bytes
        self.ops = ops

    def add(self, *, rows: int = 0, bytes: int = 0, ops: int = 0) -> None:
        """So much more was looked at."""
        self.rows += rows
        self.bytes += bytes
        self.ops += ops

    @property
    def units(self) -> int:
        """What is charged on top of the request itself."""
        return self.ops + self.rows // ROWS_PER_UNIT + self.bytes // BYTES_PER_UNIT
