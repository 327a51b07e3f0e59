"""Disk space as writes see it: whether there is room for them, and the refusal if there is none."""

from dataclasses import dataclass

from realtime_kv.errors import Unavailable

# the part of the receipts limit that remains when space is short
RECEIPTS = 1 / 16
RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True)
class DiskSpace:
    """Room for writes: below the reserve for deletes only; near it not for users who take more than `share` bytes."""

    is_low: bool
    share: int

    def receipts(self, limit: int) -> int:
        """Return the receipts limit for a write that frees nothing, such as the delete of a missing key."""
        return limit if self is AMPLE else int(limit * RECEIPTS)


AMPLE = DiskSpace(is_low=False, share=0)


def disk_low() -> Unavailable:
    """Return the refusal of writes that add data."""
    return Unavailable(
        "The server's disk is nearly full, so nothing was written: only deletes are possible until its "
        "administrator has freed space.",
        retry_after=RETRY_AFTER_SECONDS,
    )


class UnmeasuredDisk:
    """The disk of a database server, which only its administrator can see: never full as far as writes know."""

    free = 0
    wanted = 0
    is_low = False
    is_near = False

    def measure(self) -> int:
        return self.free

    def check(self) -> None:
        """Refuse nothing."""

    def wrote(self, size: int) -> None:
        """Count nothing."""

    def metrics(self) -> dict[str, float]:
        return {}


UNMEASURED = UnmeasuredDisk()
