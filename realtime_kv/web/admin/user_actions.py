"""Actions of a superuser on a user: each has a page that describes it and, with `asks`, asks for the password."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.admin.service import AdminService
from realtime_kv.accounts.admin.user_queries import AdminUserView
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.credentials.one_time_tokens import IssuedToken
from realtime_kv.accounts.users import UserIdentity
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import BadRequest, NotFound, Refusal
from realtime_kv.services import services, wait
from realtime_kv.web.admin.blueprint import actor, admin, administration, confirm, number, page
from realtime_kv.web.http import request_auth
from realtime_kv.web.pages import one_time_forms

Form = dict[str, str]


@dataclass(frozen=True)
class UserAction:
    """An action: `does` is its description, `done` the message afterwards; with `asks` it needs the password."""

    label: str
    title: str
    does: Callable[[AdminUserView], str]
    done: str
    call: Callable[[AdminService, Actor, AdminUserView, Form], Future[Any]]
    offered: Callable[[AdminUserView], bool] = lambda user: True
    danger: bool = False
    asks: bool = True


def _count(count: int, thing: str) -> str:
    plural = {"entry": "entries"}.get(thing, f"{thing}s")
    return f"{count:,} {thing if count == 1 else plural}"


def _signed_in(user: AdminUserView) -> str:
    return f"{_count(user.sessions, 'session')} and {_count(user.tokens, 'API token')}"


def _delete_says(user: AdminUserView) -> str:
    days = services().config.account_days
    return (
        f"Deletes {user.username}, {_count(user.entries, 'entry')}, {_count(user.sessions, 'session')}, "
        f"{_count(user.tokens, 'token')}. For {_count(days, 'day')} it can be restored here; then it is purged."
    )


def _whole(form: Form, name: str) -> int | None:
    text = form.get(name, "").replace(",", "").replace(" ", "")
    if not text:
        return None
    found = number(text)
    if found is None:
        raise BadRequest("A quota is a whole number. Leave it empty for the default.", field=name)
    return found


def _is_open(user: AdminUserView) -> bool:
    return user.status == "active"


ACTS: dict[str, UserAction] = {
    "link": UserAction(
        "Recovery link",
        "Create recovery link",
        lambda user: (
            f"Creates a link for choosing a new password for {user.username}. It can be used once, within 30 "
            "minutes. Using it ends every session. Earlier links stop working."
        ),
        "This was done already, and the link for {name} was shown once. If you did not pass it on, create a new "
        "one. The old one then stops working.",
        lambda to, actor, user, _: to.recovery_link(actor, user.id),
        _is_open,
    ),
    "password": UserAction(
        "Temporary password",
        "Set temporary password",
        lambda user: (
            f"Replaces the password of {user.username} by one that is shown to you once, and ends "
            f"{_count(user.sessions, 'session')}. At the next sign-in a new one has to be chosen."
        ),
        "This was done already, and the temporary password of {name} was shown once. If you did not pass it on, set a "
        "new one.",
        lambda to, actor, user, _: to.temporary_password(actor, user.id),
        _is_open,
    ),
    "end-two-step": UserAction(
        "Two-step sign-in off",
        "Switch two-step sign-in off",
        lambda user: (
            f"The password of {user.username} will be enough to sign in. Do this only for a user who has lost "
            "the authenticator and the recovery codes, and check first that the request is theirs."
        ),
        "Two-step sign-in of {name} is off.",
        lambda to, actor, user, _: to.end_two_step(actor, user.id),
        lambda user: user.two_step,
        danger=True,
    ),
    "sessions": UserAction(
        "End sessions",
        "End sessions",
        lambda user: f"Ends {_count(user.sessions, 'session')} of {user.username} at once, open tabs included.",
        "All sessions of {name} have ended.",
        lambda to, actor, user, form: to.end_sessions(actor, user.id, tokens="tokens" in form),
        lambda user: user.sessions + user.tokens > 0,
    ),
    "quota": UserAction(
        "Quota",
        "Change quota",
        lambda user: (
            f"How much {user.username} may store. The quota applies from the next write on; existing data stays."
        ),
        "The quota of {name} is changed.",
        lambda to, actor, user, form: to.set_quota(actor, user.id, _whole(form, "keys"), _whole(form, "bytes")),
    ),
    "make-admin": UserAction(
        "Make superuser",
        "Make superuser",
        lambda user: (
            f"{user.username} will be able to do everything that you can, and has to sign in again: ends "
            f"{_count(user.sessions, 'session')}."
        ),
        "{name} is a superuser.",
        lambda to, actor, user, _: to.make_admin(actor, user.id),
        lambda user: _is_open(user) and not user.is_admin,
        danger=True,
    ),
    "unmake-admin": UserAction(
        "Revoke superuser",
        "Revoke superuser",
        lambda user: f"{user.username} will be a user like any other: ends {_count(user.sessions, 'session')}.",
        "{name} is no longer a superuser.",
        lambda to, actor, user, _: to.unmake_admin(actor, user.id),
        lambda user: user.is_admin,
        danger=True,
    ),
    "disable": UserAction(
        "Disable",
        "Disable user",
        lambda user: (
            f"Ends {_signed_in(user)} of {user.username} for good. Nobody can sign in to the account until it "
            f"is enabled again. It keeps {_count(user.entries, 'entry')}."
        ),
        "{name} is disabled.",
        lambda to, actor, user, _: to.disable(actor, user.id),
        lambda user: user.disabled_at is None and user.deleted_at is None,
        danger=True,
    ),
    "enable": UserAction(
        "Enable",
        "Enable user",
        lambda user: f"{user.username} can sign in again. Ended sessions stay ended.",
        "{name} is enabled.",
        lambda to, actor, user, _: to.enable(actor, user.id),
        lambda user: user.disabled_at is not None,
        asks=False,
    ),
    "delete": UserAction(
        "Delete",
        "Delete user",
        _delete_says,
        "{name} is deleted.",
        lambda to, actor, user, form: to.delete(actor, user.id),
        lambda user: user.deleted_at is None or user.deleted_by != "admin",
        danger=True,
    ),
    "restore": UserAction(
        "Restore",
        "Restore user",
        lambda user: f"Restores the account of {user.username}, with {_count(user.entries, 'entry')}.",
        "{name} is restored.",
        lambda to, actor, user, _: to.restore(actor, user.id),
        lambda user: user.deleted_at is not None,
        asks=False,
    ),
}


def actions_for(user: AdminUserView) -> dict[str, UserAction]:
    """Return the actions that are possible on this user now."""
    return {name: act for name, act in ACTS.items() if act.offered(user)}


# actions whose answer shows a secret
_SECRET = {"link", "password"}
_PATH = f"/users/<int:user_id>/<any({', '.join(map(repr, ACTS))}):name>"


@admin.get(_PATH)
def ask(user_id: int, name: str) -> AnyResponse:
    """Show the description of the action, and ask for confirmation."""
    user = wait(administration().user(user_id))
    return _ask(user, name, None, {})


@admin.post(_PATH)
@one_time_forms.guard
def carry_out(user_id: int, name: str) -> AnyResponse:
    form, act = request_auth.form(), ACTS[name]
    user = wait(administration().user(user_id))
    try:
        if name == "delete" and form.get("name", "").strip() != user.username:
            raise BadRequest(f"Type {user.username} to delete that account.", field="name")
        if name in _SECRET:
            one_time_forms.claim()
        if act.asks:
            confirm(form)
        answer = wait(act.call(administration(), actor(), user, form))
    except NotFound:
        raise
    except Refusal as refusal:
        return _ask(user, name, refusal, form)
    if name in _SECRET:
        return secret_page(user, answer)
    return redirect(f"/admin/users/{user_id}?done={name}", 303)


def secret_page(user: AdminUserView | UserIdentity, made: IssuedToken | str, *, new: bool = False) -> AnyResponse:
    """Show a recovery link or a temporary password, at the only moment when it can be shown."""
    if isinstance(made, IssuedToken):
        base = services().config.public_url or request.host_url.rstrip("/")
        shown: dict[str, Any] = {
            "kind": "link",
            "secret": f"{base}/recover/{made.secret}",
            "expires_at": made.expires_at,
        }
    else:
        shown = {"kind": "password", "secret": made}
    made_page = page("secret.html", user=user, new=new, **shown)
    return one_time_forms.secret_page(made_page, f"/admin/users/{user.id}?done={shown['kind']}")


def _ask(user: AdminUserView, name: str, problem: Refusal | None, form: Form) -> AnyResponse:
    typed = {field: form[field][:64] for field in ("name", "keys", "bytes") if field in form}
    return page(
        "confirm_action.html",
        problem,
        user=user,
        name=name,
        act=ACTS[name],
        does=ACTS[name].does(user),
        typed=typed,
        tokens="tokens" in form,
        config=services().config,
    )
