"""Reports of the maintenance: what a purge, a backup or a restore did."""

from collections.abc import Callable

import msgspec

# told what is being done, in words
Progress = Callable[[str], None]


class PurgeReport(msgspec.Struct, kw_only=True):
    """The result of a purge: what it removed, when (milliseconds) and how long it took.

    `keys` counts the deleted keys and `ops` their ops in the log; `writes` counts the writes of which some or all ops
    were older than the history's retention.
    `clean`: no byte of the removed data is left in the files, for which the file was `rewritten` if that was due. If it
    is not clean, a later purge rewrites the file: `needs` is the number of bytes of free space that this takes if they
    were missing, 0 if a reader prevented it or an early purge postponed it. An `early` purge was not due by time:
    something was nearly full.
    """

    at: int
    seconds: float = 0.0
    keys: int = 0
    ops: int = 0
    writes: int = 0
    receipts: int = 0
    users: int = 0
    sessions: int = 0
    audit: int = 0
    clean: bool = True
    rewritten: bool = False
    needs: int = 0
    early: bool = False


class State(msgspec.Struct, kw_only=True):
    """The state of the maintenance; `vacuum_due`: something was removed since the file was last rewritten."""

    last_purge: PurgeReport | None
    last_early_purge: PurgeReport | None
    vacuum_due: bool


class BackupReport(msgspec.Struct, kw_only=True):
    """The result of a backup: its file, its size, and how long it took."""

    file: str
    bytes: int
    seconds: float


class RestoreReport(msgspec.Struct, kw_only=True):
    """The result of a restore: the restored file, and the copy of the data that was there before."""

    file: str
    before: str | None
    seconds: float
