"""/admin/backup: the backups that there are, and one to take away, which every user sees."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from flask import Response, stream_with_context
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.core.errors import Refusal
from realtime_kv.web import security
from realtime_kv.web.admin.gate import admin, administration, confirm, doer, page
from realtime_kv.web.house import house, wait

# copying and checking a large file takes its time
PATIENCE = 600.0
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
    """A fresh backup, which leaves no copy behind; that it is taken away is written down before its first byte goes."""
    form = security.form()
    try:
        confirm(form)
        # hidden, and swept away at the next start should this one end in between
        file = house().operations.folder / f".download.db.{secrets.token_hex(8)}"
        asked_for = house().operations.backup(file, doer())
        try:
            made = wait(asked_for, PATIENCE)
            content = wait(house().store.readers.submit(lambda _: _take(file)))
        except BaseException:
            # whoever asked may have gone before it was made
            asked_for.then(lambda _: file.unlink(missing_ok=True))
            raise
        wait(administration().note_download(doer(), made.bytes))
    except Refusal as refusal:
        return _page(refusal)
    response = Response(stream_with_context(_chunks(content)), mimetype="application/vnd.sqlite3")
    response.call_on_close(content.close)
    response.content_length = made.bytes
    day = datetime.fromtimestamp(house().store.clock() / 1000, UTC)
    response.headers["Content-Disposition"] = f'attachment; filename="realtime_kv-{day:%Y-%m-%d-%H%M}.db"'
    return response


def kept() -> list[Kept]:
    """The backups in the folder, the latest first."""
    operations = house().operations

    def look(_: object) -> list[Kept]:
        found = []
        for file in reversed(operations.backups()):
            try:
                known = file.stat()
            except FileNotFoundError:
                continue  # its time has just come
            found.append(Kept(file.name, known.st_size, int(known.st_mtime * 1000)))
        return found

    return wait(house().store.readers.submit(look))


def _page(problem: Refusal | None = None) -> AnyResponse:
    return page("backup.html", problem, kept=kept(), config=house().config)


def _take(file: Path) -> BinaryIO:
    """The open file, which has no name any more: it is gone with its last reader, however that ends."""
    content = file.open("rb")
    file.unlink()
    return content


def _chunks(content: BinaryIO) -> Iterator[bytes]:
    # a disk may keep one waiting
    while chunk := wait(house().store.readers.submit(lambda _: content.read(CHUNK))):
        yield chunk
