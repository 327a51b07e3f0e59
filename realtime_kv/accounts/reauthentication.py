"""Re-authentication: ask for the password before an irreversible action, against misuse of an unattended session."""

from sqlalchemy import Connection

from realtime_kv.accounts import audit_log, users
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context, member, require_session
from realtime_kv.accounts.credentials import passwords, sessions
from realtime_kv.accounts.users import LoginUser
from realtime_kv.caller import Caller
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.errors import InvalidCredentials
from realtime_kv.request.client_info import NOWHERE, ClientInfo


def confirm(context: Context, caller: Caller, password: str, visit: ClientInfo = NOWHERE) -> Steps[LoginUser]:
    """Return the caller's account if this is their password. Raise Forbidden, InvalidCredentials or RateLimited."""
    require_session(caller)
    context.limits.confirm(caller.session_id, caller.user_id)
    if not passwords.could_be(password):
        raise _wrong()
    by = member(caller)
    found: LoginUser | None = yield context.look_up(lambda db: users.by_id(db, caller.user_id), by)
    right = yield context.verify(found.password_hash if found else passwords.NOBODYS_HASH, password, by)
    if not (right and found):
        now, actor = context.clock(), Actor("user", caller.user_id, visit)
        context.write_shared(
            lambda db: audit_log.write(db, now, actor, "password_refused", caller.user_id, ok=False), by
        )
        raise _wrong()
    context.limits.confirmed(caller.session_id)
    context.limits.change(caller.user_id, caller.session_id)
    return found


def still(connection: Connection, caller: Caller, confirmed: LoginUser, now: int) -> None:
    """Recheck in the write: raise Unauthenticated if the session ended, InvalidCredentials if the password changed."""
    sessions.check(connection, caller, now)
    found = users.by_id(connection, caller.user_id)
    if found is None or found.password_hash != confirmed.password_hash:
        raise _wrong()


def _wrong() -> InvalidCredentials:
    return InvalidCredentials("That is not your password.")
