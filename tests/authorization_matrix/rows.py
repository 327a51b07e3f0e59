"""The access matrix: a row for every route and every event. The rows are the promise that the app has to keep."""

import re
from dataclasses import dataclass, field

from tests.authorization_matrix.identities import IDENTITIES, DataSet

OPEN, SIGN_IN, UNAUTHENTICATED, FORBIDDEN = "open", "sign in first", "unauthenticated", "forbidden"

# identities with a valid cookie or a valid token
SESSIONS = {"alice", "charlie", "admin"}
TOKENS = {"read token", "prefix token"}


@dataclass(frozen=True)
class Row:
    """The payload of a request or an event, and the result for each identity."""

    access: dict[str, str]
    payload: dict[str, object] = field(default_factory=dict)
    # values of the path's variables
    names: dict[str, str] = field(default_factory=dict)
    # identities that may see Alice's data
    shown: frozenset[str] = frozenset()

    def path(self, rule: str, data_set: DataSet) -> str:
        """Return the rule with its variables filled in."""
        return re.sub(
            r"<(?:[^<>]+:)?(\w+)>", lambda found: self.names.get(found[1]) or str(data_set.ids["victor"]), rule
        )

    def expected(self, identity: str) -> str:
        return self.access[identity]

    def reveals(self, identity: str) -> bool:
        return identity in self.shown


def _who(sessions: str, tokens: str, others: str, **exceptions: str) -> dict[str, str]:
    access = {
        identity: sessions if identity in SESSIONS else tokens if identity in TOKENS else others
        for identity in IDENTITIES
    }
    return access | {name.replace("_", " "): what for name, what in exceptions.items()}


# public
PUBLIC = _who(OPEN, OPEN, OPEN)
# a user's own page: tokens do not count there
PAGE = _who(OPEN, SIGN_IN, SIGN_IN)
# the superuser's pages
ADMIN = _who(FORBIDDEN, SIGN_IN, SIGN_IN, admin=OPEN)
# verbs: a read token may call the reading ones; a prefix token, all within its prefix
READS = _who(OPEN, OPEN, UNAUTHENTICATED)
WRITES = _who(OPEN, OPEN, UNAUTHENTICATED, read_token=FORBIDDEN)
OUTSIDE = _who(OPEN, OPEN, UNAUTHENTICATED, prefix_token=FORBIDDEN)
# calls about the account: for sessions only
ACCOUNT = _who(OPEN, FORBIDDEN, UNAUTHENTICATED)

_SET = {"key": "app/m", "value": 1}
EVENTS = {
    "get": Row(READS, {"key": "app/x"}),
    "set": Row(WRITES, _SET),
    "delete": Row(WRITES, {"key": "app/gone"}),
    "list": Row(READS),
    "batch": Row(WRITES, {"ops": [{"op": "set", **_SET}]}),
    "delete_prefix": Row(WRITES, {"prefix": "app/nothing/"}),
    "move": Row(WRITES, {"from": "app/nothing/", "to": "app/there/"}),
    "copy": Row(WRITES, {"from": "app/nothing/", "to": "app/there/"}),
    "sync": Row(READS),
    "history": Row(READS),
    "trash": Row(READS),
    "restore": Row(WRITES, {"key": "app/gone"}),
    "undo": Row(WRITES, {"revision": 1, "dry_run": True}),
}

# the same verbs over HTTP, and the reading ones by GET as well
_VERBS = {f"POST /api/v1/{verb}": row for verb, row in EVENTS.items()} | {
    f"GET /api/v1/{verb}": EVENTS[verb] for verb in ("get", "list", "sync", "history", "trash")
}

_PASSWORD = {"password": "not it at all"}
# wrong on purpose, so that no call changes an account: the password is refused, not the identity
WRONG_PASSWORD = _who(UNAUTHENTICATED, FORBIDDEN, UNAUTHENTICATED)
_ACCOUNT_CALLS = {
    "GET /api/v1/account": Row(ACCOUNT),
    "GET /api/v1/sessions": Row(ACCOUNT),
    "GET /api/v1/tokens": Row(ACCOUNT),
    "GET /api/v1/events": Row(ACCOUNT),
    "POST /api/v1/create_token": Row(ACCOUNT, {"name": "a program"}),
    "POST /api/v1/revoke_token": Row(ACCOUNT, {"id": "nobodys"}),
    "POST /api/v1/end_session": Row(ACCOUNT, {"id": "nobodys"}),
    "POST /api/v1/end_other_sessions": Row(ACCOUNT),
    "POST /api/v1/dismiss_notice": Row(ACCOUNT),
    "POST /api/v1/recovery_codes": Row(WRONG_PASSWORD, _PASSWORD),
    "POST /api/v1/change_password": Row(WRONG_PASSWORD, {**_PASSWORD, "new_password": "another good password"}),
    "POST /api/v1/delete_account": Row(WRONG_PASSWORD, _PASSWORD),
    "POST /api/v1/set_email": Row(WRONG_PASSWORD, {**_PASSWORD, "email": "a@example.org"}),
    "POST /api/v1/two_step_begin": Row(WRONG_PASSWORD, _PASSWORD),
    "POST /api/v1/two_step_confirm": Row(WRONG_PASSWORD, {"code": "000000"}),
    "POST /api/v1/two_step_end": Row(WRONG_PASSWORD, _PASSWORD),
    "POST /api/v1/two_step_reset": Row(WRONG_PASSWORD, _PASSWORD),
}

_CREDENTIALS = {"username": "newcomer", "password": "correct horse battery"}
_WRONG = {"username": "alice", **_PASSWORD}
# the credentials in the request are wrong, for every identity
REFUSED = dict.fromkeys(IDENTITIES, UNAUTHENTICATED)
_PUBLIC = {
    "GET /": Row(PAGE),
    "GET /api": Row(PUBLIC),
    "GET /api/v1/openapi.json": Row(PUBLIC),
    # only a redirect
    "GET /account": Row(PUBLIC),
    "GET /signin": Row(PUBLIC),
    "POST /signin": Row(REFUSED, _WRONG),
    # without a ticket there is no sign-in that a code could complete
    "GET /signin/code": Row(_who(OPEN, SIGN_IN, SIGN_IN)),
    "POST /signin/code": Row(PUBLIC, {"code": "000000"}),
    "GET /signup": Row(PUBLIC),
    "POST /signup": Row(PUBLIC, {"username": "x", "password": "y"}),
    "POST /signout": Row(dict.fromkeys(IDENTITIES, SIGN_IN)),
    "GET /recover": Row(PUBLIC),
    "GET /recover/<secret>": Row(PUBLIC, names={"secret": "nobodys"}),
    "GET /invite/<secret>": Row(PUBLIC, names={"secret": "nobodys"}),
    "GET /recover/code": Row(PUBLIC),
    "POST /recover/code": Row(REFUSED, {"username": "alice", "code": "A", "new_password": "another good password"}),
    "GET /recover/mail": Row(PUBLIC),
    "POST /recover/mail": Row(PUBLIC, {"username": "alice"}),
    "GET /recover/password": Row(PUBLIC),
    "POST /recover/password": Row(PUBLIC, {"new_password": "another good password"}),
    "GET /account/email": Row(PUBLIC),
    "POST /account/email": Row(PUBLIC),
    "GET /account/email/<secret>": Row(PUBLIC, names={"secret": "nobodys"}),
    "GET /setup": Row(PUBLIC),
    "POST /setup": Row(PUBLIC, _CREDENTIALS),
    "GET /setup/<secret>": Row(PUBLIC, names={"secret": "nobodys"}),
    "POST /api/v1/sign_in": Row(REFUSED, _WRONG),
    "POST /api/v1/second_step": Row(PUBLIC, {"ticket": "nobodys", "code": "000000"}),
    "POST /api/v1/sign_up": Row(PUBLIC, _CREDENTIALS),
    "POST /api/v1/sign_out": Row(PUBLIC),
    "POST /api/v1/recover": Row(REFUSED, {"username": "alice", "code": "A", "new_password": "another good password"}),
    "POST /api/v1/ask_recovery_mail": Row(PUBLIC, {"username": "alice"}),
    "POST /api/v1/confirm_email": Row(PUBLIC, {"ticket": "nobodys"}),
    "GET /healthz": Row(PUBLIC),
    "GET /readyz": Row(PUBLIC),
    "GET /metrics": Row(PUBLIC),
    "GET /.well-known/change-password": Row(PUBLIC),
    "GET /rkv.js": Row(PUBLIC),
    "GET /sw.js": Row(PUBLIC),
    "GET /static/<path:filename>": Row(PUBLIC, names={"filename": "icon.svg"}),
    "GET /static/js/vendor/<path:name>": Row(PUBLIC, names={"name": "socket.io.esm.min.js"}),
}

WRONG_PASSWORD_PAGE = _who(UNAUTHENTICATED, SIGN_IN, SIGN_IN)
_PAGES = {
    "GET /keys": Row(PAGE),
    "GET /activity": Row(PAGE),
    "GET /trash": Row(PAGE),
    # shown offline, so it holds no user's data
    "GET /needs-server": Row(PUBLIC),
    **{
        f"GET /account{page}": Row(PAGE)
        for page in (
            "/profile",
            "/security",
            "/security/two-step",
            "/sessions",
            "/tokens",
            "/data",
            "/preferences",
            "/events",
        )
    },
    "POST /account/data": Row(
        _who(OPEN, SIGN_IN, SIGN_IN, alice=UNAUTHENTICATED), {**_PASSWORD, "do": "delete", "username": "alice"}
    ),
    "POST /account/notice": Row(PAGE),
    "POST /account/security": Row(
        WRONG_PASSWORD_PAGE, {**_PASSWORD, "do": "password", "new_password": "another good password"}
    ),
    "POST /account/sessions": Row(PAGE, {"id": "nobodys"}),
    "POST /account/tokens": Row(PAGE, {"name": "a program"}),
}

_ACT = (
    "<any('link', 'password', 'end-two-step', 'sessions', 'quota', 'make-admin', 'unmake-admin', 'disable', 'enable', "
)
_ACT += "'delete', 'restore'):name>"
WRONG_PASSWORD_ADMIN = _who(FORBIDDEN, SIGN_IN, SIGN_IN, admin=UNAUTHENTICATED)
_ADMIN_PAGES = {
    **{
        f"GET /admin{page}": Row(ADMIN)
        for page in (
            "", "/audit", "/audit.csv", "/audit.ndjson", "/backup", "/diagnostics", "/diagnostics.json", "/users",
            "/diagnostics/confirm-time",
            "/users/<int:user_id>", "/users/<int:user_id>/entries", "/users/new",
        )
    },
    "GET /admin/<path:_rest>": Row(ADMIN, names={"_rest": "nowhere"}),
    "POST /admin/<path:_rest>": Row(ADMIN, names={"_rest": "nowhere"}),
    f"GET /admin/users/<int:user_id>/{_ACT}": Row(ADMIN, names={"name": "disable"}),
    f"POST /admin/users/<int:user_id>/{_ACT}": Row(WRONG_PASSWORD_ADMIN, _PASSWORD, names={"name": "disable"}),
    "GET /admin/users/<int:user_id>/reveal": Row(ADMIN, {"key": "app/v"}),
    "POST /admin/users/<int:user_id>/reveal": Row(WRONG_PASSWORD_ADMIN, {**_PASSWORD, "key": "app/v"}),
    "POST /admin/users/new": Row(ADMIN, {"username": "newcomer"}),
    "GET /admin/invitations": Row(ADMIN),
    "POST /admin/invitations": Row(ADMIN, {"note": "For Dora", "days": "7"}),
    "POST /admin/invitations/<int:id>/revoke": Row(ADMIN, names={"id": "1"}),
    "POST /admin/backup": Row(WRONG_PASSWORD_ADMIN, _PASSWORD),
    "POST /admin/diagnostics/confirm-time": Row(WRONG_PASSWORD_ADMIN, _PASSWORD),
}  # fmt: skip

ROUTES = {
    **_VERBS,
    **_ACCOUNT_CALLS,
    "GET /api/v1/me": Row(READS),
    "GET /api/v1/export": Row(READS),
    "GET /api/v1/import": Row(READS),
    "POST /api/v1/import": Row(WRITES, {"app/m": 1}),
    "GET /api/v1/stream": Row(READS),
    **_PUBLIC,
    **_PAGES,
    **_ADMIN_PAGES,
}
