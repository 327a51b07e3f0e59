"""Rendering of pages: errors beside their fields, times as elements, numbers for people."""

from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, render_template
from markupsafe import Markup

from realtime_kv.clock import DAY, HOUR, MINUTE
from realtime_kv.core.messages import timestamp
from realtime_kv.errors import Refusal
from realtime_kv.services import services
from realtime_kv.web.http import error_handlers

# the form field that an error is about, by the error's code
_FIELDS = {
    "invalid_name": "username",
    "name_taken": "username",
    "invalid_credentials": "password",
    "invalid_password": "new_password",
    "invalid_code": "code",
}


class FormErrors:
    """The error of a page's form, and the text that was typed there; without a refusal there is no error."""

    def __init__(
        self, form: str = "", refusal: Refusal | None = None, typed: dict[str, str] | None = None, field: str = ""
    ) -> None:
        self.refusal = refusal
        self.form = form
        self._typed = typed or {}
        if refusal is not None:
            field = field or str(refusal.extra.get("field") or _FIELDS.get(refusal.code, ""))
        self._field = field

    def at(self, form: str, field: str) -> str:
        """Return the error of this field of this form, if any."""
        if self.refusal is None or (form, field) != (self.form, self._field):
            return ""
        return self.refusal.message

    def over(self, form: str, *fields: str) -> str:
        """Return the error of this form that belongs to none of its `fields`, if any."""
        if self.refusal is None or form != self.form or self._field in fields:
            return ""
        return self.refusal.message

    def typed(self, form: str, field: str, otherwise: str = "") -> str:
        """Return the text that was typed into this field. Not for a password or a code."""
        return self._typed.get(field, otherwise) if form == self.form else otherwise


def register(app: Flask) -> None:
    """Add the filters to the templates of `app`."""
    app.jinja_env.globals["signups"] = app.extensions["realtime_kv"].config.signups
    app.jinja_env.filters.update(ago=ago, moment=moment, day=day, size=size, number=number, in_fours=in_fours)


def page(template: str, problem: Refusal | None = None, **context: Any) -> Response:
    """Return the page, with the status and headers of `problem` if a form was refused."""
    if problem is None:
        return Response(render_template(template, problem=None, **context))
    return error_handlers.with_headers(
        Response(render_template(template, problem=problem, **context), problem.status), problem
    )


def ago(at: int | None) -> Markup | str:
    """Format a time (milliseconds) for people: "3 min ago", and after a month its day."""
    if at is None:
        return "never"
    passed = services().store.clock() - at
    if passed >= 30 * DAY:
        return day(at)
    if passed < MINUTE:
        return _time(at, "just now")
    length, unit = next(
        (length, unit) for length, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")) if passed >= length
    )
    return _time(at, f"{passed // length} {unit} ago")


def day(at: int) -> Markup:
    """Format a time as "12 Nov 2026"."""
    return _time(at, f"{_utc(at):%-d %b %Y}")


def moment(at: int) -> Markup:
    """Format a time as "12 Nov 2026, 09:14 UTC"."""
    return _time(at, f"{_utc(at):%-d %b %Y, %H:%M} UTC")


def size(count: int) -> str:
    """Format a number of bytes: "68 B", "2.1 MiB"."""
    if count < 1024:
        return f"{count} B"
    step = min(4, (count.bit_length() - 1) // 10)
    amount = f"{count / 1024**step:.1f}".removesuffix(".0")
    return f"{amount} {('KiB', 'MiB', 'GiB', 'TiB')[step - 1]}"


def number(count: int) -> str:
    """Format a number as "100,000"."""
    return f"{count:,}"


def in_fours(secret: str) -> str:
    """Format a secret for typing: "ABCD EFGH"."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def _time(at: int, text: str) -> Markup:
    title = f"{_utc(at):%-d %b %Y, %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(timestamp(at), title, text)


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
