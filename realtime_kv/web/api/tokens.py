"""Calls for a signed-in user to create, list and revoke API tokens (protocol §4)."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, request
from msgspec import UNSET, Meta, Struct, UnsetType

from realtime_kv.accounts.api_tokens import TokenView
from realtime_kv.core.messages import timestamp
from realtime_kv.request import authentication
from realtime_kv.services import services, wait
from realtime_kv.web.http import parsing, request_auth

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
    shown = wait(services().accounts.tokens.list(request_auth.caller()))
    return parsing.answer({"ok": True, "tokens": [_shown(token) for token in shown]})


@tokens.post("/create_token")
def create_token() -> Response:
    """Create a token; its text is in this answer and nowhere else."""
    caller = request_auth.caller()
    given = parsing.decode(NewToken, parsing.json())
    made = wait(
        services().accounts.tokens.create(
            caller,
            given.name,
            given.scope,
            None if given.prefix is UNSET else given.prefix,
            None if given.expires_at is UNSET else (given.expires_at - _EPOCH) // timedelta(milliseconds=1),
            authentication.visit(request.environ, services().config),
        )
    )
    return parsing.answer({"ok": True, "token": made.token, **_shown(made.shown)}, 201)


@tokens.post("/revoke_token")
def revoke_token() -> Response:
    """Revoke a token and close its sockets."""
    caller = request_auth.caller()
    which = parsing.decode(WhichToken, parsing.json())
    wait(services().accounts.tokens.revoke(caller, which.id, authentication.visit(request.environ, services().config)))
    return Response(status=204)


def _shown(token: TokenView) -> dict[str, Any]:
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
