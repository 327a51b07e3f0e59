"""`/api/v1/export` and `/api/v1/import`: a space to a file and back (protocol, "Export and import")."""

import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from flask import Blueprint, Response, request

from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.core.transfer import exporter, import_plan, import_reader
from realtime_kv.core.transfer.jobs import ExportFile
from realtime_kv.errors import BadRequest
from realtime_kv.services import services, wait
from realtime_kv.web.http import parsing, request_auth

transfer = Blueprint("transfer", __name__, url_prefix="/api/v1")

T = TypeVar("T", bound=str)

NDJSON = "application/x-ndjson"
MIMETYPES = {"json": parsing.JSON, "ndjson": NDJSON, "csv": "text/csv"}
# an export takes seconds; a large import on a busy server takes minutes
TIMEOUT_SECONDS = 1800.0
CHUNK = 64 * 1024
# without it, spreadsheet programs read UTF-8 as the system's legacy encoding
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# bytes a second; a transfer that is GRACE seconds behind this rate is aborted
MIN_BYTES_PER_SECOND = 16 * 1024
GRACE = 60.0


@transfer.get("/export")
def export() -> Response:
    """Return the caller's entries as a file, all as of one revision."""
    caller, asked = _caller(), _query("format", "prefix", "bom")
    format, prefix = _one_of(asked, "format", exporter.FORMATS), asked.get("prefix", "")
    with_mark = _one_of(asked, "bom", ("false", "true")) == "true"
    if with_mark and format != "csv":
        raise BadRequest("A byte order mark is only for CSV.", field="bom")
    mark = BYTE_ORDER_MARK if with_mark else b""
    asked_for = services().transfer.export(caller, format, prefix)
    try:
        outgoing = wait(asked_for, TIMEOUT_SECONDS)
    except BaseException:
        services().transfer.abandon(caller, asked_for)
        raise
    response = Response(_chunks(mark, outgoing, services().runtime), mimetype=MIMETYPES[format])
    # a client may disconnect before the first chunk
    response.call_on_close(outgoing.close)
    response.content_length = len(mark) + outgoing.bytes
    response.headers["Content-Disposition"] = f'attachment; filename="{_name(caller, outgoing, prefix)}.{format}"'
    return response


@transfer.get("/import")
def progress() -> Response:
    """Return the progress of the caller's import; null when there is none."""
    caller, _ = _caller(), _query()
    return parsing.answer({"ok": True, "import": services().transfer.progress(caller)})


@transfer.post("/import")
def import_() -> Response:
    """Write the entries of a file, or, with `dry_run`, report the changes that it would make."""
    caller, asked = _caller(), _query("mode", "format", "prefix", "dry_run")
    if request.mimetype not in {parsing.JSON, NDJSON}:
        raise BadRequest(f"Send this with the content type {parsing.JSON} or {NDJSON}.")
    asked.setdefault("format", "json" if request.mimetype == parsing.JSON else "ndjson")
    format = _one_of(asked, "format", import_reader.FORMATS)
    mode = _one_of(asked, "mode", import_plan.MODES)
    dry_run = _one_of(asked, "dry_run", ("false", "true")) == "true"
    limit = import_plan.largest(wait(services().store.quota_of(caller)))
    incoming = services().transfer.begin_import(caller)
    try:
        began, taken = time.monotonic(), 0
        incoming.progress.total = request.content_length or 0
        for piece in parsing.pieces(limit):
            wait(incoming.take(piece))
            taken += len(piece)
            if _too_slow(began, taken):
                raise BadRequest("The body arrives too slowly.")
        future = incoming.carry_in(format=format, mode=mode, prefix=asked.get("prefix"), dry_run=dry_run)
    except BaseException:
        incoming.close()
        raise
    return parsing.answer(wait(future, TIMEOUT_SECONDS))


def _caller() -> Caller:
    caller, rates = request_auth.caller(), services().accounts.rates
    if rates is not None:
        rates.verb(caller)
    return caller


def _query(*known: str) -> dict[str, str]:
    """Return the fields of the query. Raises BadRequest for a field that is not in `known`."""
    asked = dict(parsing.query())
    for name in asked:
        if name not in known:
            raise BadRequest(f"{name[:64]!r} is not a field of this call.", field=name[:64])
    return asked


def _one_of(asked: dict[str, str], field: str, choice: Sequence[T]) -> T:
    """Return the given value of `field`, by default the first of `choice`. Raises BadRequest."""
    given = asked.get(field, choice[0])
    for one in choice:
        if one == given:
            return one
    raise BadRequest(f"`{field}` is one of {', '.join(choice)}.", field=field)


def _chunks(mark: bytes, outgoing: ExportFile, runtime: Runtime) -> Iterator[bytes]:
    began, sent = time.monotonic(), 0
    try:
        if mark:
            yield mark
        while chunk := runtime.wait(outgoing.read(CHUNK), TIMEOUT_SECONDS):
            yield chunk
            sent += len(chunk)
            if _too_slow(began, sent):
                # the connection ends before the announced length, so that no client takes the file for complete
                raise ConnectionAbortedError("an export was downloaded too slowly")
    finally:
        outgoing.close()


def _too_slow(began: float, bytes: int) -> bool:
    return time.monotonic() - began > GRACE + bytes / MIN_BYTES_PER_SECOND


def _name(caller: Caller, outgoing: ExportFile, prefix: str) -> str:
    """Return a file name that identifies the export: user, prefix, time, revision and number of keys."""
    made = outgoing.made
    under = re.sub(r"[^A-Za-z0-9]+", "-", prefix).strip("-")[:40]
    day = datetime.fromtimestamp(made.at / 1000, UTC)
    parts = ["realtime_kv", caller.username, under, f"{day:%Y-%m-%d-%H%M}", f"r{made.revision}", f"{made.count}-keys"]
    return "-".join(part for part in parts if part)
