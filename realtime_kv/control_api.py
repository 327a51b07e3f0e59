"""Control API: the handlers of the administration commands; names and paths come in, plain data goes out.

The running server receives them through its control socket; without a server, the command line calls them itself.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec

from realtime_kv.accounts.admin.user_queries import AdminUserView
from realtime_kv.accounts.audit_log import CLI
from realtime_kv.accounts.credentials.one_time_tokens import IssuedToken
from realtime_kv.accounts.invitations import DEFAULT_DAYS
from realtime_kv.accounts.service import Accounts
from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.config import Config
from realtime_kv.core.messages import timestamp
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.errors import BadRequest, NotFound
from realtime_kv.maintenance.reports import Progress
from realtime_kv.maintenance.service import Maintenance

# seconds; a person waits for these commands: they compute a password hash or read the users
_PATIENCE = 60

Answer = dict[str, Any]


class ControlServices(Protocol):
    """The application's services that the handlers use."""

    @property
    def config(self) -> Config: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def operations(self) -> Maintenance: ...
    @property
    def clock_guard(self) -> ClockGuard: ...
    def open_tabs(self) -> dict[int, int]: ...


def carry_out(services: ControlServices, order: str, arguments: Mapping[str, Any], progress: Progress) -> Answer:
    """Return the result of one command. Blocks, so never call it on the event loop's thread. Raises a Refusal."""
    if order not in _ORDERS:
        raise BadRequest(f"There is no command {order!r}; the server may be older than the command line.")
    payload, fn = _ORDERS[order]
    try:
        given = msgspec.convert(dict(arguments), payload)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The command {order!r} cannot be given that: {error}.") from None
    return fn(services, progress, **msgspec.structs.asdict(given))


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _Admin(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    password: str | None = None
    link: bool = False


class _Invitation(msgspec.Struct, forbid_unknown_fields=True):
    note: str = ""
    days: int = DEFAULT_DAYS


class _Search(msgspec.Struct, forbid_unknown_fields=True):
    search: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    file: Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*\Z")]


class _Backup(_File, forbid_unknown_fields=True):
    force: bool = False


def create_admin(
    services: ControlServices, _: Progress, *, name: str, password: str | None = None, link: bool = False
) -> Answer:
    """Make an existing user a superuser, or create one with this password or with a link to choose one."""
    administration = services.accounts.administration
    try:
        services.runtime.wait(administration.make_admin(CLI, name), _PATIENCE)
    except NotFound:
        if password is None and not link:
            raise BadRequest(f"There is no user {name} yet: give a password, or ask for a link with --link.") from None
        made = administration.create_user(CLI, name, password=password, is_admin=True, link=link)
        created = services.runtime.wait(made, _PATIENCE)
        answer: Answer = {"name": created.user.username, "created": True}
        return {**answer, **_shown(services, "recover", created.link)}
    answer = {"name": services.runtime.wait(administration.user(name), _PATIENCE).username, "created": False}
    if link:
        answer |= reset_link(services, _, name=name)
    return answer


def known(services: ControlServices, _: Progress, *, name: str) -> Answer:
    """Return whether there is such a user."""
    try:
        services.runtime.wait(services.accounts.administration.user(name), _PATIENCE)
    except NotFound:
        return {"known": False}
    return {"known": True}


def reset_link(services: ControlServices, _: Progress, *, name: str) -> Answer:
    """Create a one-time link with which this user chooses a new password."""
    ticket = services.runtime.wait(services.accounts.administration.recovery_link(CLI, name), _PATIENCE)
    return {"name": name, **_shown(services, "recover", ticket)}


def invite(services: ControlServices, _: Progress, *, note: str = "", days: int = DEFAULT_DAYS) -> Answer:
    """Create a one-time link for signing up."""
    made = services.runtime.wait(services.accounts.invitations.create(CLI, note, days), _PATIENCE)
    return {
        "id": made.id,
        "note": made.note,
        "link": f"{services.config.url}/invite/{made.secret}",
        "expires_at": timestamp(made.expires_at),
        "signups": services.config.signups,
    }


def users(services: ControlServices, _: Progress, *, search: str = "") -> Answer:
    """Return all users whose name contains `search`."""
    found: list[Answer] = []
    page = pages = 1
    while page <= pages:
        part = services.runtime.wait(
            services.accounts.administration.users(search=search, page=page, tabs=services.open_tabs()), _PATIENCE
        )
        found += [_user(user) for user in part.users]
        page, pages = page + 1, part.pages
    return {"users": found}


def purge(services: ControlServices, progress: Progress) -> Answer:
    """Delete everything past its retention permanently."""
    done = services.runtime.wait(services.operations.purge(CLI, progress))
    return {**msgspec.structs.asdict(done), "at": timestamp(done.at)}


def backup(services: ControlServices, progress: Progress, *, file: str, force: bool = False) -> Answer:
    """Copy the whole data set to a file."""
    return msgspec.structs.asdict(
        services.runtime.wait(services.operations.backup(Path(file), CLI, progress, force=force))
    )


def restore(services: ControlServices, progress: Progress, *, file: str) -> Answer:
    """Replace the whole data set with a backup."""
    return msgspec.structs.asdict(services.runtime.wait(services.operations.restore(Path(file), CLI, progress)))


def confirm_time(services: ControlServices, _: Progress) -> Answer:
    """Confirm that the system clock is right after a jump."""
    jump = services.clock_guard.jump()
    confirmed = services.runtime.wait(services.operations.confirm_time(CLI), _PATIENCE)
    return {"time": timestamp(services.clock_guard.retention_now()), "jump": str(jump) if jump and confirmed else None}


def setup_address(services: ControlServices) -> str | None:
    """Return a one-time URL that makes the first superuser; None if there is a superuser."""
    if services.runtime.wait(services.accounts.administration.has_superuser(), _PATIENCE):
        return None
    ticket = services.runtime.wait(services.accounts.administration.setup_link(), _PATIENCE)
    return str(_shown(services, "setup", ticket)["link"])


def _user(user: AdminUserView) -> Answer:
    return {
        "id": user.id,
        "name": user.username,
        "status": user.status,
        "is_admin": user.is_admin,
        "entries": user.entries,
        "bytes": user.bytes,
        "tabs": user.tabs,
        "seen_at": None if user.seen_at is None else timestamp(user.seen_at),
        "created_at": timestamp(user.created_at),
    }


def _shown(services: ControlServices, path: str, ticket: IssuedToken | None) -> Answer:
    if ticket is None:
        return {}
    return {"link": f"{services.config.url}/{path}/{ticket.secret}", "expires_at": timestamp(ticket.expires_at)}


_ORDERS: dict[str, tuple[type[msgspec.Struct], Callable[..., Answer]]] = {
    "create-admin": (_Admin, create_admin),
    "known": (_Named, known),
    "reset-link": (_Named, reset_link),
    "invite": (_Invitation, invite),
    "users": (_Search, users),
    "purge": (_Nothing, purge),
    "backup": (_Backup, backup),
    "restore": (_File, restore),
    "confirm-time": (_Nothing, confirm_time),
}
