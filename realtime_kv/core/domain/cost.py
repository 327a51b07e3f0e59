"""Cost of a request: the rows and bytes that it reads, and the units that are charged for them.

One unit is the cost of a `get` or a `set` of a small value; it is charged for the request itself, before it is done.
"""

ROWS_PER_UNIT = 64
BYTES_PER_UNIT = 8 * 1024
# the same as a shift, for incoming requests: one unit is charged for this many bytes of a request
REQUEST_SHIFT = BYTES_PER_UNIT.bit_length() - 1
# processor time: the time for decoding and checking a large request depends on its content
UNIT_SECONDS = 100e-6


class Cost:
    """Counter that grows while rows are read; complete once the work is done."""

    __slots__ = ("bytes", "ops", "rows")

    def __init__(self, *, rows: int = 0, bytes: int = 0, ops: int = 0) -> None:
        self.rows = rows
        self.bytes = bytes
        self.ops = ops

    def add(self, *, rows: int = 0, bytes: int = 0, ops: int = 0) -> None:
        """Count further rows, bytes and ops."""
        self.rows += rows
        self.bytes += bytes
        self.ops += ops

    @property
    def units(self) -> int:
        """The units that are charged on top of the request itself."""
        return self.ops + self.rows // ROWS_PER_UNIT + self.bytes // BYTES_PER_UNIT
