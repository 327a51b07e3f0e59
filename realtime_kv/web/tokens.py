"""Calls for a signed-in user to create, list and revoke API tokens (protocol §4)."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, request
from msgspec import UNSET, Meta, Struct, UnsetType

from realtime_kv.accounts import door
from realtime_kv.accounts.tokens import TokenShown
from realtime_kv.core.frames import timestamp
from realtime_kv.web import bodies, security
from realtime_kv.web.house import house, wait

tokens = Blueprint("tokens", __name__, url_prefix="/api/v1")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewToken(Struct, forbid_unknown_fields=True):
    """The permissions of a new token: without `prefix` for all keys, without `expires_at` for ever."""

    name: str
    scope: Literal["read", "write"] = "write"
    prefix: str | UnsetType = UNSET
    expires_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET


class WhichToken(Struct, forbid_unknown_fields=True):
    id: str


@tokens.get("/tokens")
def list_tokens() -> Response:
    """Return the caller's tokens, never their texts."""
    shown = wait(house().accounts.tokens.list(security.caller()))
    return bodies.answer({"ok": True, "tokens": [_shown(token) for token in shown]})


@tokens.post("/create_token")
def create_token() -> Response:
    """Create a token; its text is in this answer and nowhere else."""
    caller = security.caller()
    given = bodies.decode(NewToken, bodies.json())
    made = wait(
        house().accounts.tokens.create(
            caller,
            given.name,
            given.scope,
            None if given.prefix is UNSET else given.prefix,
            None if given.expires_at is UNSET else (given.expires_at - _EPOCH) // timedelta(milliseconds=1),
            door.visit(request.environ, house().config),
        )
    )
    return bodies.answer({"ok": True, "token": made.token, **_shown(made.shown)}, 201)


@tokens.post("/revoke_token")
def revoke_token() -> Response:
    """Revoke a token and close its sockets."""
    caller = security.caller()
    which = bodies.decode(WhichToken, bodies.json())
    wait(house().accounts.tokens.revoke(caller, which.id, door.visit(request.environ, house().config)))
    return Response(status=204)


def _shown(token: TokenShown) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "prefix": token.prefix,
        "created_at": timestamp(token.created_at),
        "expires_at": _when(token.expires_at),
        "last_used_at": _when(token.last_used_at),
    }


def _when(at: int | None) -> str | None:
    return None if at is None else timestamp(at)
