"""Copies before an upgrade: the database as the previous version left it, to allow a return to that version."""

import logging
import shutil
import time
from pathlib import Path

from sqlalchemy import Engine

from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.sqlite.files import backup

log = logging.getLogger(__name__)

KEPT = 3
# in addition to the copy, for the upgrade and for writes meanwhile
_SPARE = 16 * 1024 * 1024


class NoRoom(Exception):
    """The disk has no space for a copy of the database; nothing was changed."""


def keep_copy(engine: Engine, folder: Path) -> Path | None:
    """Copy the database to `folder` if an upgrade is due; return the path of the copy. Raises NoRoom."""
    before = migrations.version(engine)
    if before is None or before >= migrations.HEAD:
        return None
    database = Path(str(engine.url.database))
    size = sum(file.stat().st_size for file in (database, Path(f"{database}-wal")) if file.exists())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        raise NoRoom(
            f"The database has to be upgraded, and a copy of it is made before. That takes {size + _SPARE:,} bytes in "
            f"{folder}, where {free:,} are free. Free some space, or set RKV_UPGRADE_COPY=off after making a backup "
            "with the version that was used before."
        )
    stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    copy = folder / f"before-upgrade-{before}-to-{migrations.HEAD}-{stamp}.db"
    backup.copy_file(database, copy)
    log.warning("The database is upgraded from version %s to %s; a copy is in %s.", before, migrations.HEAD, copy)
    for old in sorted(folder.glob("before-upgrade-*.db"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
        old.unlink()
    return copy
