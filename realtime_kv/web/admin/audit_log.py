"""/admin/audit: the audit log of the whole server, filtered by the query string, page by page, and as a file."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response, request, stream_with_context
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.admin.audit_queries import ACTORS, Event, Filters
from realtime_kv.accounts.audit_log import ACTIONS
from realtime_kv.core.messages import timestamp
from realtime_kv.services import wait
from realtime_kv.web.admin.blueprint import actor, admin, administration, number, page

# entries per read for a file
CHUNK = 1000
FIELDS = ("id", "at", "actor", "actor_id", "actor_name", "user_id", "username", "action", "ok", "address", "label")


@admin.get("/audit")
def audit() -> AnyResponse:
    asked = _asked()
    found = wait(administration().events(_filters(asked), before=number(request.args.get("before", ""))))
    older = f"/admin/audit?{urlencode({**asked, 'before': found.next})}" if found.next is not None else None
    return page(
        "audit.html",
        events=found.events,
        asked=asked,
        query=urlencode(asked),
        older=older,
        newest="before" not in request.args,
        actions=ACTIONS,
        actors=ACTORS,
    )


@admin.get("/audit.ndjson")
def as_ndjson() -> AnyResponse:
    """Return the log with one JSON object per line."""

    def lines(events: list[Event]) -> str:
        return "".join(msgspec.json.encode(_row(event) | {"detail": event.detail}).decode() + "\n" for event in events)

    return _file("ndjson", "application/x-ndjson", lines)


@admin.get("/audit.csv")
def as_csv() -> AnyResponse:
    """Return the log as a table; `detail` is JSON."""

    def lines(events: list[Event]) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        for event in events:
            detail = msgspec.json.encode(event.detail).decode() if event.detail else ""
            writer.writerow([_cell(value) for value in [*_row(event).values(), detail]])
        return text.getvalue()

    return _file("csv", "text/csv", lines, ",".join((*FIELDS, "detail")) + "\r\n")


def _asked() -> dict[str, str]:
    """Return the filters in the query string, without unusable ones."""
    asked = {name: request.args.get(name, "").strip()[:64] for name in ("user", "actor", "action", "since", "until")}
    return {
        name: text
        for name, text in asked.items()
        if text and (name not in {"since", "until"} or _day(text)) and (name != "action" or text in ACTIONS)
    }


def _filters(asked: dict[str, str]) -> Filters:
    since, until = _day(asked.get("since", "")), _day(asked.get("until", ""))
    return Filters(
        user=asked.get("user", ""),
        actor=asked.get("actor", ""),
        action=asked.get("action", ""),
        since=_ms(since) if since else None,
        # the day itself is included
        until=_ms(until + timedelta(days=1)) if until else None,
    )


def _day(text: str) -> datetime | None:
    """Parse a day as a date field sends it, in UTC; None if it is invalid."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day if 1970 <= day.year <= 9000 else None


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _row(event: Event) -> dict[str, Any]:
    row = {name: getattr(event, name) for name in FIELDS}
    return row | {"at": timestamp(event.at)}


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _file(kind: str, mimetype: str, lines: Callable[[list[Event]], str], head: str = "") -> AnyResponse:
    filters = _filters(_asked())
    wait(administration().note_export(actor()))

    def chunks() -> Iterator[str]:
        yield head
        before: int | None = None
        while True:
            found = wait(administration().events(filters, before=before, limit=CHUNK))
            yield lines(found.events)
            before = found.next
            if before is None:
                return

    response = Response(stream_with_context(chunks()), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="audit.{kind}"'
    return response
