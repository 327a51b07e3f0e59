"""Calls for users to manage their own accounts (protocol, "Accounts"): JSON in and out, for sessions only."""

import dataclasses
from typing import Any

from flask import Blueprint, Response
from msgspec import Struct

from realtime_kv.accounts.audit_log import AuditEntry
from realtime_kv.accounts.credentials.sessions import SessionView
from realtime_kv.caller import Caller
from realtime_kv.core.messages import timestamp
from realtime_kv.errors import BadRequest
from realtime_kv.services import services, wait
from realtime_kv.web.api.auth import Nothing, recovered, visit, welcome, with_cookie
from realtime_kv.web.http import login, parsing, request_auth

own = Blueprint("own", __name__, url_prefix="/api/v1")

MAX_EVENTS = 200


class Which(Struct, forbid_unknown_fields=True):
    id: str


class Password(Struct, forbid_unknown_fields=True):
    password: str


class PasswordForToken(Struct, forbid_unknown_fields=True):
    """With `token`, or for a bearer token, the answer has the session's new token instead of a cookie."""

    password: str
    token: bool = False


class NewPassword(Struct, forbid_unknown_fields=True):
    password: str
    new_password: str
    token: bool = False


class Code(Struct, forbid_unknown_fields=True):
    code: str
    token: bool = False


class Email(Struct, forbid_unknown_fields=True):
    """An email address for the account; an empty `email` removes it."""

    password: str
    email: str


@own.get("/account")
def account() -> Response:
    """Return a summary of the account."""
    profile = wait(services().accounts.own.profile(request_auth.caller()))
    changed = profile.password_changed_at
    return parsing.answer(
        {
            "ok": True,
            "username": profile.username,
            "is_admin": profile.is_admin,
            "created_at": timestamp(profile.created_at),
            "password_changed_at": None if changed is None else timestamp(changed),
            "email": profile.email,
            "two_step": profile.two_step,
            "recovery_codes_left": profile.codes_left,
            "wrong_codes": profile.wrong_codes,
            "recovered": recovered(profile.notice),
        }
    )


@own.get("/sessions")
def list_sessions() -> Response:
    """Return the user's sessions."""
    shown = wait(services().accounts.own.sessions(request_auth.caller()))
    return parsing.answer({"ok": True, "sessions": [_session(session) for session in shown]})


@own.get("/events")
def list_events() -> Response:
    """Return the account's audit log, newest first, page by page."""
    caller = request_auth.caller()
    asked = _whole_numbers({"before": 2**63 - 1, "limit": MAX_EVENTS})
    limit = asked.get("limit", 50)
    shown = wait(services().accounts.own.events(caller, asked.get("before"), limit))
    more = shown[-1].id if len(shown) == limit else None
    return parsing.answer({"ok": True, "events": [_event(event) for event in shown], "next": more})


@own.post("/end_session")
def end_session() -> Response:
    """Sign out one session; it may be this one."""
    caller, which = _asked(Which)
    wait(services().accounts.own.end_session(caller, which.id, visit()))
    if which.id == caller.session and with_cookie():
        login.forget()
    return Response(status=204)


@own.post("/end_other_sessions")
def end_other_sessions() -> Response:
    """Sign out every session but this one."""
    caller, _ = _asked(Nothing)
    return parsing.answer({"ok": True, "ended": wait(services().accounts.own.end_other_sessions(caller, visit()))})


@own.post("/change_password")
def change_password() -> Response:
    """Set a new password; this session continues under a new token, every other one ends."""
    caller, given = _asked(NewPassword)
    as_token, change = given.token or not with_cookie(), services().accounts.own.change_password
    changing = change(caller, given.password, given.new_password, visit(), as_token=as_token)
    return welcome(wait(changing), as_token=as_token)


@own.post("/delete_account")
def delete_account() -> Response:
    """Delete the account; its user restores it by signing in again in time."""
    caller, given = _asked(Password)
    wait(services().accounts.own.delete_account(caller, given.password, visit()))
    if with_cookie():
        login.forget()
    return Response(status=204)


@own.post("/dismiss_notice")
def dismiss_notice() -> Response:
    """Dismiss the notice that the password was set by a recovery."""
    caller, _ = _asked(Nothing)
    wait(services().accounts.own.dismiss_notice(caller))
    return Response(status=204)


@own.post("/recovery_codes")
def recovery_codes() -> Response:
    """Replace the recovery codes by ten new ones; only this answer shows them."""
    caller, given = _asked(Password)
    made = wait(services().accounts.recovery.renew_codes(caller, given.password, visit()))
    return parsing.answer({"ok": True, "recovery_codes": made})


@own.post("/set_email")
def set_email() -> Response:
    """Send a mail to that address, which counts once it is confirmed through the link in the mail."""
    caller, given = _asked(Email)
    wait(services().accounts.recovery.set_email(caller, given.password, given.email, visit()))
    return Response(status=204)


@own.post("/two_step_begin")
def two_step_begin() -> Response:
    """Return a secret for an authenticator app."""
    caller, given = _asked(Password)
    begun = wait(services().accounts.two_step.begin(caller, given.password, visit()))
    return parsing.answer({"ok": True, **dataclasses.asdict(begun)})


@own.post("/two_step_confirm")
def two_step_confirm() -> Response:
    """Switch two-step sign-in on: the code proves that the app has the secret."""
    caller, given = _asked(Code)
    as_token = given.token or not with_cookie()
    confirming = services().accounts.two_step.confirm(caller, given.code, visit(), as_token=as_token)
    return welcome(wait(confirming), as_token=as_token)


@own.post("/two_step_reset")
def two_step_reset() -> Response:
    """Reset the count of wrong codes of the second step."""
    caller, given = _asked(Password)
    wait(services().accounts.two_step.reset_failures(caller, given.password, visit()))
    return Response(status=204)


@own.post("/two_step_end")
def two_step_end() -> Response:
    """Switch two-step sign-in off."""
    caller, given = _asked(PasswordForToken)
    as_token = given.token or not with_cookie()
    ending = services().accounts.two_step.end(caller, given.password, visit(), as_token=as_token)
    return welcome(wait(ending), as_token=as_token)


def _asked(kind: type[parsing.T]) -> tuple[Caller, parsing.T]:
    caller = request_auth.caller()
    # checked before the body, so that an API token gets the same refusal for any body
    services().accounts.require_session(caller)
    return caller, parsing.decode(kind, parsing.json())


def _whole_numbers(most: dict[str, int]) -> dict[str, int]:
    """Return the fields of the query, each from 1 to its maximum in `most`. Raises BadRequest."""
    numbers: dict[str, int] = {}
    for name, text in parsing.query():
        if name not in most:
            raise BadRequest(f"{name[:64]!r} is not a field of this call.", field=name[:64])
        digits = text if len(text) <= 19 and text.isascii() and text.isdecimal() else "0"
        if not 1 <= int(digits) <= most[name]:
            raise BadRequest(f"{name!r} must be a whole number from 1 to {most[name]}.", field=name)
        numbers[name] = int(digits)
    return numbers


def _session(session: SessionView) -> dict[str, Any]:
    times = {name: timestamp(getattr(session, name)) for name in ("created_at", "last_seen_at", "expires_at")}
    return dataclasses.asdict(session) | times


def _event(event: AuditEntry) -> dict[str, Any]:
    return dataclasses.asdict(event) | {"at": timestamp(event.at)}
