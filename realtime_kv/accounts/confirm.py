"""The password again, before something that cannot be taken back: who finds an open browser does not know it."""

from realtime_kv.accounts import passwords, users
from realtime_kv.accounts.context import Context
from realtime_kv.accounts.steps import Steps
from realtime_kv.accounts.users import Candidate
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import InvalidCredentials


def confirm(context: Context, caller: Caller, password: str) -> Steps[Candidate]:
    """Who is calling, if this is their password. Raises InvalidCredentials or RateLimited."""
    context.limits.confirm(caller.user_id)
    if not passwords.could_be(password):
        raise InvalidCredentials()
    found: Candidate | None = yield context.read(lambda db: users.by_id(db, caller.user_id))
    right = yield context.verify(found.password_hash if found else passwords.NOBODYS_HASH, password)
    if not (right and found):
        raise InvalidCredentials()
    context.limits.confirmed(caller.user_id)
    return found
