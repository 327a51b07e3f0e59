"""Sign-up, sign-in, sign-out and the caller (protocol, "Accounts"): JSON in and out, for pages and programs."""

from typing import Any, TypeVar

from flask import Blueprint, Response, request
from msgspec import Struct

from realtime_kv import static_assets
from realtime_kv.accounts.credentials.sessions import NewSession
from realtime_kv.core import store, validation
from realtime_kv.core.messages import timestamp
from realtime_kv.request import authentication
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.services import services, wait
from realtime_kv.verbs import registry as verbs
from realtime_kv.version import VERSION
from realtime_kv.web.http import login, parsing, request_auth

account = Blueprint("account", __name__, url_prefix="/api/v1")


class Credentials(Struct, forbid_unknown_fields=True):
    """A user name and its password; with `token` the answer carries a bearer token, and no cookie is set.

    Without `keep` the session ends when the browser is closed, or after a day.
    """

    username: str
    password: str
    token: bool = False
    keep: bool = True


class NewAccount(Credentials, forbid_unknown_fields=True):
    """Credentials of a new user, with the secret of an `invitation` where the server requires one."""

    invitation: str | None = None


class SecondStep(Struct, forbid_unknown_fields=True):
    """The code that completes a sign-in; `ticket` came with the answer to the first step."""

    ticket: str
    code: str
    token: bool = False
    keep: bool = True


Entering = TypeVar("Entering", Credentials, NewAccount, SecondStep)


class Nothing(Struct, forbid_unknown_fields=True):
    """`{}`."""


@account.post("/sign_up")
def sign_up() -> Response:
    """Create a user and sign them in. The browser's old session ends, because its cookie is replaced."""
    given, token, kind = _given(NewAccount)
    replaced = token if kind == "cookie" and not given.token else None
    future = services().accounts.access.sign_up(
        given.username,
        given.password,
        visit(),
        replacing=replaced,
        kept=given.keep,
        as_token=given.token,
        invitation=given.invitation,
    )
    return welcome(wait(future), as_token=given.token, status=201)


@account.post("/sign_in")
def sign_in() -> Response:
    """Start a new session; the session of this request ends."""
    given, token, kind = _given(Credentials)
    replaced = token if kind else None
    future = services().accounts.access.sign_in(
        given.username, given.password, visit(), replacing=replaced, kept=given.keep, as_token=given.token
    )
    return welcome(wait(future), as_token=given.token)


@account.post("/second_step")
def second_step() -> Response:
    """Complete a sign-in that was answered `second_step_needed`."""
    given, token, kind = _given(SecondStep)
    replaced = token if kind else None
    future = services().accounts.access.second_step(
        given.ticket, given.code, visit(), replacing=replaced, kept=given.keep, as_token=given.token
    )
    return welcome(wait(future), as_token=given.token)


@account.post("/sign_out")
def sign_out() -> Response:
    """End the session of this request; every transport then rejects its token."""
    if parsing.has_body() or request.mimetype:
        parsing.decode(Nothing, parsing.json() or b"{}")
    token, kind = authentication.credentials(request.environ, services().config)
    if kind is not None:
        request_auth.check_origin(kind)
        wait(services().accounts.access.sign_out(token, visit()))
    if kind == "cookie":
        login.forget()
    return Response(status=204)


@account.get("/me")
def me() -> Response:
    """Return the caller, their session, usage and limits, and the server's version and verbs."""
    caller, config = request_auth.caller(), services().config
    usage, quota = wait(services().store.usage(caller)), wait(services().store.quota_of(caller))
    return parsing.answer(
        {
            "ok": True,
            "user": _user(caller.username, caller.is_admin, caller.user_created_at),
            "session": {
                "id": caller.session,
                "label": caller.label,
                "kind": caller.kind,
                "scope": caller.scope,
                "prefix": caller.prefix,
            },
            "usage": {"keys": usage.keys, "bytes": usage.bytes},
            "limits": {
                "key": validation.KEY_BYTES,
                "value": config.value_bytes,
                "batch": store.BATCH_OPS,
                "message": parsing.LIMIT,
                "keys": quota.keys,
                "bytes": quota.bytes,
            },
            "server": {"version": VERSION, "build": static_assets.build(), "verbs": list(verbs.VERBS)},
        }
    )


def visit() -> ClientInfo:
    """Return the client of this request: its program and its address."""
    return authentication.visit(request.environ, services().config)


def with_cookie() -> bool:
    """Return whether the session cookie identifies the caller."""
    return authentication.credentials(request.environ, services().config)[1] == "cookie"


def welcome(begun: NewSession, *, as_token: bool, status: int = 200) -> Response:
    """Return the answer to a new session. Its token becomes the cookie; with `as_token` it is in the body."""
    user = begun.user
    answer: dict[str, Any] = {"ok": True, "user": _user(user.username, user.is_admin, user.created_at)}
    if begun.codes:
        answer["recovery_codes"] = begun.codes
    if begun.recovered:
        answer["recovered"] = recovered(begun.recovered)
    if as_token:
        answer |= {"token": begun.token, "expires_at": timestamp(begun.expires_at)}
    else:
        login.begin(begun)
    return parsing.answer(answer, status)


def recovered(notice: tuple[int, str] | None) -> dict[str, str] | None:
    """Return the recovery that the user has to be told of, as JSON fields; None if there is none."""
    return None if notice is None else {"at": timestamp(notice[0]), "how": notice[1]}


def _given(kind: type[Entering]) -> tuple[Entering, str, authentication.Kind]:
    given = parsing.decode(kind, parsing.json())
    token, came_as = authentication.credentials(request.environ, services().config)
    # only pages of this server get a cookie; every origin that may use a bearer token may ask for one
    request_auth.check_origin("bearer" if given.token and came_as != "cookie" else "cookie")
    return given, token, came_as


def _user(username: str, is_admin: bool, created_at: int) -> dict[str, Any]:
    return {"username": username, "is_admin": is_admin, "created_at": timestamp(created_at)}
