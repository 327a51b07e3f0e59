"""/admin/backup: a list of the backups, and the download of a new one, which every user's audit log shows."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from flask import Response, stream_with_context
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.errors import Refusal
from realtime_kv.maintenance.backups import NO_BACKUPS
from realtime_kv.services import services, wait
from realtime_kv.web.admin.blueprint import actor, admin, administration, confirm, page
from realtime_kv.web.http import request_auth

# copying and checking a large file takes long
TIMEOUT_SECONDS = 600.0
CHUNK = 256 * 1024


@dataclass(frozen=True)
class Kept:
    """A backup in the folder of the server; `at` in milliseconds."""

    name: str
    bytes: int
    at: int


@admin.get("/backup")
def backup() -> AnyResponse:
    return _page()


@admin.post("/backup")
def download() -> AnyResponse:
    """Send a new backup and keep no copy; the download is in the audit log before its first byte is sent."""
    form = request_auth.form()
    try:
        confirm(form)
        # hidden, and deleted at the next start if the server stops in between
        file = services().operations.backups.folder / f".download.db.{secrets.token_hex(8)}"
        asked_for = services().operations.backup(file, actor())
        try:
            made = wait(asked_for, TIMEOUT_SECONDS)
            content = wait(services().store.readers.submit(lambda _: _take(file)))
        except BaseException:
            # the client may disconnect before the backup is made
            asked_for.then(lambda _: file.unlink(missing_ok=True))
            raise
        wait(administration().note_download(actor(), made.bytes))
    except Refusal as refusal:
        return _page(refusal)
    response = Response(stream_with_context(_chunks(content)), mimetype="application/vnd.sqlite3")
    response.call_on_close(content.close)
    response.content_length = made.bytes
    day = datetime.fromtimestamp(services().store.clock() / 1000, UTC)
    response.headers["Content-Disposition"] = f'attachment; filename="realtime_kv-{day:%Y-%m-%d-%H%M}.db"'
    return response


def kept() -> list[Kept]:
    """Return the backups in the folder, the latest first."""
    operations = services().operations

    def look(_: object) -> list[Kept]:
        found = []
        for file in reversed(operations.backups.files()):
            try:
                known = file.stat()
            except FileNotFoundError:
                continue  # just deleted by the rotation
            found.append(Kept(file.name, known.st_size, int(known.st_mtime * 1000)))
        return found

    return wait(services().store.readers.submit(look))


def _page(problem: Refusal | None = None) -> AnyResponse:
    is_file = services().store.backend.file is not None
    return page("backup.html", problem, kept=kept(), config=services().config, is_file=is_file, elsewhere=NO_BACKUPS)


def _take(file: Path) -> BinaryIO:
    """Open the file and remove its name: the system deletes it after its last reader, however that ends."""
    content = file.open("rb")
    file.unlink()
    return content


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    # read on a thread, because a disk may block
    while chunk := wait(services().store.readers.submit(lambda _: content.read(CHUNK))):
        yield chunk
