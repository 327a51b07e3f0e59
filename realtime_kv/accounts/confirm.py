"""Re-authentication: ask for the password before an irreversible action, against misuse of an unattended session."""

from sqlalchemy import Connection

from realtime_kv.accounts import audit, passwords, sessions, users
from realtime_kv.accounts.audit import Doer
from realtime_kv.accounts.context import Context, member, require_session
from realtime_kv.accounts.steps import Steps
from realtime_kv.accounts.users import Candidate
from realtime_kv.accounts.visit import NOWHERE, Visit
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import InvalidCredentials


def confirm(context: Context, caller: Caller, password: str, visit: Visit = NOWHERE) -> Steps[Candidate]:
    """Return the caller's account if this is their password. Raise Forbidden, InvalidCredentials or RateLimited."""
    require_session(caller)
    context.limits.confirm(caller.session_id, caller.user_id)
    if not passwords.could_be(password):
        raise _wrong()
    by = member(caller)
    found: Candidate | None = yield context.look_up(lambda db: users.by_id(db, caller.user_id), by)
    right = yield context.verify(found.password_hash if found else passwords.NOBODYS_HASH, password, by)
    if not (right and found):
        now, doer = context.clock(), Doer("user", caller.user_id, visit)
        context.note(lambda db: audit.write(db, now, doer, "password_refused", caller.user_id, ok=False), by)
        raise _wrong()
    context.limits.confirmed(caller.session_id)
    context.limits.change(caller.user_id, caller.session_id)
    return found


def still(connection: Connection, caller: Caller, confirmed: Candidate, now: int) -> None:
    """Recheck in the write: raise Unauthenticated if the session ended, InvalidCredentials if the password changed."""
    sessions.check(connection, caller, now)
    found = users.by_id(connection, caller.user_id)
    if found is None or found.password_hash != confirmed.password_hash:
        raise _wrong()


def _wrong() -> InvalidCredentials:
    return InvalidCredentials("That is not your password.")
