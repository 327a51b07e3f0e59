"""The account calls of protocol §4: sign_up, sign_in, sign_out and me; JSON in and out, for pages and programs."""

from typing import Any

from flask import Blueprint, Response, request
from msgspec import Struct

from realtime_kv import verbs
from realtime_kv.accounts import door
from realtime_kv.accounts.sessions import SignedIn
from realtime_kv.accounts.visit import Visit
from realtime_kv.core import store, values
from realtime_kv.core.frames import timestamp
from realtime_kv.version import VERSION
from realtime_kv.web import bodies, security, sessions
from realtime_kv.web.house import house, wait

account = Blueprint("account", __name__, url_prefix="/api/v1")


class Credentials(Struct, forbid_unknown_fields=True):
    """Who somebody says they are; with `token` the answer carries a bearer token, and no cookie is set."""

    username: str
    password: str
    token: bool = False


class Nothing(Struct, forbid_unknown_fields=True):
    """`{}`."""


@account.post("/sign_up")
def sign_up() -> Response:
    """A new user, signed in. The browser's old session is over, as its cookie is replaced."""
    given, token, kind = _credentials()
    replaced = token if kind == "cookie" and not given.token else None
    future = house().accounts.sign_up(given.username, given.password, _visit(), replacing=replaced)
    return _signed_in(wait(future), given, 201)


@account.post("/sign_in")
def sign_in() -> Response:
    """A new session; the one that the request came with is over."""
    given, token, kind = _credentials()
    future = house().accounts.sign_in(given.username, given.password, _visit(), replacing=token if kind else None)
    return _signed_in(wait(future), given, 200)


@account.post("/sign_out")
def sign_out() -> Response:
    """The session that the request came with is over, and its token dead at every door."""
    if bodies.has_body() or request.mimetype:
        bodies.decode(Nothing, bodies.json() or b"{}")
    token, kind = door.credentials(request.environ, house().config)
    if kind is not None:
        security.check_origin(kind)
        wait(house().accounts.sign_out(token, _visit()))
    if kind == "cookie":
        sessions.forget()
    return Response(status=204)


@account.get("/me")
def me() -> Response:
    """Who is calling, what they use of what they may, and what this server can do."""
    caller, config = security.caller(), house().config
    usage = wait(house().store.usage(caller))
    return bodies.answer(
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
                "key": values.KEY_BYTES,
                "value": config.value_bytes,
                "batch": store.BATCH_OPS,
                "message": bodies.LIMIT,
                "keys": config.quota_keys,
                "bytes": config.quota_bytes,
            },
            "server": {"version": VERSION, "verbs": list(verbs.VERBS)},
        }
    )


def _credentials() -> tuple[Credentials, str, door.Kind]:
    given = bodies.decode(Credentials, bodies.json())
    token, kind = door.credentials(request.environ, house().config)
    # who gets a cookie must be one of our pages; a token may be asked for by whoever may use one
    security.check_origin("bearer" if given.token and kind != "cookie" else "cookie")
    return given, token, kind


def _visit() -> Visit:
    return door.visit(request.environ, house().config)


def _signed_in(signed_in: SignedIn, given: Credentials, status: int) -> Response:
    user = signed_in.user
    answer: dict[str, Any] = {"ok": True, "user": _user(user.username, user.is_admin, user.created_at)}
    if given.token:
        answer |= {"token": signed_in.token, "expires_at": timestamp(signed_in.expires_at)}
    else:
        sessions.begin(signed_in)
    return bodies.answer(answer, status)


def _user(username: str, is_admin: bool, created_at: int) -> dict[str, Any]:
    return {"username": username, "is_admin": is_admin, "created_at": timestamp(created_at)}
