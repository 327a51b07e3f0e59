"""Recovery calls for users who have forgotten their password, or must choose another (protocol, "Accounts").

They answer the same whether the name is known or not, and sign nobody in.
"""

from flask import Blueprint, Response
from msgspec import UNSET, Struct, UnsetType

from realtime_kv.errors import BadRequest
from realtime_kv.services import services, wait
from realtime_kv.web.api.auth import visit
from realtime_kv.web.http import parsing, request_auth

recovery = Blueprint("recovery", __name__, url_prefix="/api/v1")


class Recover(Struct, forbid_unknown_fields=True):
    """`username` and `code`, or a `ticket` from a link or from a sign-in whose password must be changed."""

    new_password: str
    username: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    ticket: str | UnsetType = UNSET


class Name(Struct, forbid_unknown_fields=True):
    username: str


class Ticket(Struct, forbid_unknown_fields=True):
    ticket: str


@recovery.post("/recover")
def recover() -> Response:
    """Set a new password and end every session."""
    given, by = _given(Recover), services().accounts.recovery
    username, code, ticket = given.username, given.code, given.ticket
    if username is not UNSET and code is not UNSET and ticket is UNSET:
        wait(by.by_code(username, code, given.new_password, visit()))
    elif username is UNSET and code is UNSET and ticket is not UNSET:
        wait(by.by_link(ticket, given.new_password, visit()))
    else:
        raise BadRequest("Send `username` and `code`, or `ticket`.")
    return Response(status=204)


@recovery.post("/ask_recovery_mail")
def ask_recovery_mail() -> Response:
    """Send a mail with a link, if the user has an address to send it to."""
    wait(services().accounts.recovery.by_mail(_given(Name).username, visit()))
    return Response(status=204)


@recovery.post("/confirm_email")
def confirm_email() -> Response:
    """Confirm an email address with the secret that was mailed to it."""
    wait(services().accounts.recovery.confirm_email(_given(Ticket).ticket, visit()))
    return Response(status=204)


def _given(kind: type[parsing.T]) -> parsing.T:
    # these calls need no credential, but pages of unlisted origins may not make them either
    request_auth.check_origin("bearer")
    return parsing.decode(kind, parsing.json())
