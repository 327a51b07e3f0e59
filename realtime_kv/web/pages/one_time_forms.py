"""One-time forms: a form whose answer shows a secret is processed once, even if its request is repeated.

A browser repeats the request of a page on reload, on "back" and on a double click. For sign-up, a new token or a
recovery link that would perform the action again and lose the secret that was shown. A repeated request is answered by
a redirect to a page that says that the action was performed and what to do next.

Invariants:
1. Only a digest of the form and the address of the next page are kept: no secret and no password.
2. A form is identified by its CSRF token, which is unique for each form that is shown, and by what was typed into it.
3. A form is refused if it is older than this process remembers: it may have been processed before.

A view is guarded by `guard`, calls `claim` before the action, and returns its page through `secret_page`.
"""

import functools
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any, cast

from flask import Flask, current_app, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import Forbidden, Refusal
from realtime_kv.request import authentication
from realtime_kv.services import wait
from realtime_kv.web.http import csrf, request_auth

View = Callable[..., AnyResponse]

MAX_REMEMBERED = 10_000
_OUT_OF_DATE = (
    "This form was loaded before the server was restarted, and nothing was done with it now. If you had sent it "
    "before, it was done then. Load the page again to send a new form."
)


class OneTimeForms:
    """The forms that this process has completed, oldest first, and those in progress."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_remembered: int = MAX_REMEMBERED) -> None:
        self._run = secrets.token_urlsafe(6)
        self._clock = clock
        self._max_remembered = max_remembered
        self._done: dict[bytes, tuple[float, str]] = {}
        self._running: dict[bytes, Future[None]] = {}
        self._oldest = clock()

    def new_id(self) -> str:
        """Return an id for a form that is about to be shown: the process run, the time, and a random part."""
        # fixed width, so that all forms of one page have the same length
        return f"{self._run}:{self._clock():017.6f}:{secrets.token_urlsafe(8)}"

    def is_remembered(self, form_id: str) -> bool:
        """Return whether this process would know if this form had been completed."""
        run, _, rest = form_id.partition(":")
        return run == self._run and float(rest.partition(":")[0]) > self._oldest

    def running(self, form: bytes) -> Future[None] | None:
        """Return a future that resolves once the request in progress for this form has an answer, or None."""
        return self._running.get(form)

    def begin(self, form: bytes) -> None:
        """Record that a request is about to process this form."""
        self._running[form] = Future()

    def end(self, form: bytes) -> None:
        """Record that this request has an answer, of any kind."""
        self._running.pop(form).resolve(None)

    def next_page(self, form: bytes) -> str | None:
        """Return the address of the page that follows, if this form has been completed."""
        done = self._done.get(form)
        return done[1] if done else None

    def remember(self, form: bytes, form_id: str, next_page: str) -> None:
        """Record that this form has been completed."""
        self._done[form] = (float(form_id.split(":")[1]), next_page)
        while len(self._done) > self._max_remembered:
            issued_at, _ = self._done.pop(next(iter(self._done)))
            self._oldest = max(self._oldest, issued_at)


def register(app: Flask) -> None:
    """Add the memory of forms to `app`; the ids are in the tokens of its forms."""
    app.extensions["one_time_forms"] = OneTimeForms()
    app.extensions["new_form_id"] = app.extensions["one_time_forms"].new_id


def guard(view: View) -> View:
    """Redirect a repeated request to the page that follows; `view` processes all others."""

    @functools.wraps(view)
    def guarded(**values: Any) -> AnyResponse:
        fields = _fields()
        form_id = csrf.form_id(fields)
        if form_id is None:
            return view(**values)
        forms, form = _forms(), _digest(form_id, fields)
        while running := forms.running(form):
            wait(running)
        # before the session is checked: the action may have replaced it
        if next_page := forms.next_page(form):
            return redirect(next_page, 303)
        forms.begin(form)
        try:
            answer = view(**values)
            if next_page := g.get("page_after_secret"):
                forms.remember(form, form_id, next_page)
            return answer
        finally:
            forms.end(form)

    return guarded


def claim() -> None:
    """Raise Forbidden if this form is older than this process remembers: it may have been completed before."""
    form_id = csrf.form_id(_fields())
    if form_id is None or not _forms().is_remembered(form_id):
        raise Forbidden(_OUT_OF_DATE)
    # completed even if the browser disconnects: its repeated request has to find the form completed
    request.environ.pop(authentication.HUNG_UP, None)
    g.form_claimed = True


def secret_page(page: AnyResponse, next_page: str) -> AnyResponse:
    """Return `page`, which shows a secret once. A repeated request is redirected to `next_page`, with the next step."""
    assert g.get("form_claimed"), "claim() comes before the action"
    g.page_after_secret = next_page
    return page


def _forms() -> OneTimeForms:
    return cast(OneTimeForms, current_app.extensions["one_time_forms"])


def _fields() -> dict[str, str]:
    try:
        return request_auth.form_fields()
    except Refusal:
        # the view refuses it, in its own order
        return {}


def _digest(form_id: str, fields: dict[str, str]) -> bytes:
    """Return a digest of the form, its address and its text without secrets: "back" may reuse it for another action."""
    typed = [[name, text] for name, text in sorted(fields.items()) if name not in _SECRETS]
    return hashlib.sha256(json.dumps([form_id, request.path, typed]).encode("utf-8", "surrogatepass")).digest()


_SECRETS = {csrf.FIELD, "password", "new_password", "code"}
