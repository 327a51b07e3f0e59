"""`/account`: pages where users see and change their own account; `security_pages` and `token_pages` hold the others.

Every page has one address: its forms are posted to it with the action in `do`, and an error is shown on the same page,
beside its field.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.caller import Caller
from realtime_kv.core.transfer import import_plan
from realtime_kv.errors import BadRequest, Refusal, Unauthenticated
from realtime_kv.services import services, wait
from realtime_kv.web.http import login, request_auth
from realtime_kv.web.pages import redirects, rendering
from realtime_kv.web.pages.auth import visit
from realtime_kv.web.pages.rendering import FormErrors

account_pages = Blueprint("account_pages", __name__, url_prefix="/account")

Act = Callable[[Caller, dict[str, str]], AnyResponse]
Show = Callable[[Caller, FormErrors], AnyResponse]

NO_TROUBLE = FormErrors()
EVENTS = 50
# an id of so many digits fits into a database integer
_ID_DIGITS = 18


@account_pages.get("")
def account() -> AnyResponse:
    return redirects.to("/account/profile")


@account_pages.get("/profile")
def profile() -> AnyResponse:
    caller = login.signed_in()
    return show("profile", caller, usage=wait(services().store.usage(caller)))


@account_pages.get("/sessions")
def list_sessions() -> AnyResponse:
    return _sessions(login.signed_in())


@account_pages.post("/sessions")
def end_sessions() -> AnyResponse:
    return carry_out({"end": _end_session, "end_others": _end_others}, _sessions)


@account_pages.get("/events")
def events() -> AnyResponse:
    """Show the account's audit log, newest first; `before` is the id of the last entry of the page before."""
    caller, before = login.signed_in(), request.args.get("before", "")
    known = before.isascii() and before.isdecimal() and len(before) <= _ID_DIGITS
    found = wait(services().accounts.own.events(caller, int(before) if known else None, EVENTS + 1))
    older = found[EVENTS - 1].id if len(found) > EVENTS else None
    return show("events", caller, events=found[:EVENTS], older=older, newest=not known)


@account_pages.get("/data")
def data() -> AnyResponse:
    return _data(login.signed_in())


@account_pages.post("/data")
def delete() -> AnyResponse:
    return carry_out({"delete": _delete}, _data)


@account_pages.get("/preferences")
def preferences() -> AnyResponse:
    return show("preferences", login.signed_in())


@account_pages.post("/notice")
def dismiss_notice() -> AnyResponse:
    """Dismiss the notice that the password was set by a recovery."""
    caller, form = login.signed_in(), request_auth.form()
    wait(services().accounts.own.dismiss_notice(caller))
    return redirects.to(redirects.local(form.get("next")))


def show(tab: str, caller: Caller, trouble: FormErrors = NO_TROUBLE, page: str = "", **context: Any) -> AnyResponse:
    """Return the account page `tab` (or another `page` under the same tab), with the errors of its form."""
    return rendering.page(
        f"account/{page or tab}.html",
        trouble.refusal,
        caller=caller,
        tab=tab,
        trouble=trouble,
        done=redirects.said(request.args.get("done")),
        profile=(profile := wait(services().accounts.own.profile(caller))),
        notice=profile.notice,
        config=services().config,
        **context,
    )


def carry_out(acts: Mapping[str, Act], show_again: Show) -> AnyResponse:
    """Perform the action in the form's `do`; show an error on the page that the form came from."""
    caller = login.visitor()
    if caller is None:
        return _sign_in_first()
    form = request_auth.form()
    what = form.get("do", "")
    if what not in acts:
        raise BadRequest("This form has an unknown action. Load the page again.", field="do")
    try:
        return acts[what](caller, form)
    except Unauthenticated:
        return _sign_in_first()
    except Refusal as refusal:
        return show_again(caller, FormErrors(what, refusal, form))


def _sign_in_first() -> AnyResponse:
    """Redirect to the sign-in page, and from there back to the form's page: it has the same address."""
    return redirects.to(f"/signin?next={request.path}")


def _sessions(caller: Caller, trouble: FormErrors = NO_TROUBLE) -> AnyResponse:
    return show("sessions", caller, trouble, sessions=wait(services().accounts.own.sessions(caller)))


def _end_session(caller: Caller, form: dict[str, str]) -> AnyResponse:
    wait(services().accounts.own.end_session(caller, form.get("id", ""), visit()))
    return redirects.to("/account/sessions", done="session")


def _end_others(caller: Caller, _: dict[str, str]) -> AnyResponse:
    wait(services().accounts.own.end_other_sessions(caller, visit()))
    return redirects.to("/account/sessions", done="sessions")


def _data(caller: Caller, trouble: FormErrors = NO_TROUBLE) -> AnyResponse:
    store = services().store
    largest = import_plan.largest(wait(store.quota_of(caller)))
    return show("data", caller, trouble, usage=wait(store.usage(caller)), largest=largest)


def _delete(caller: Caller, form: dict[str, str]) -> AnyResponse:
    if form.get("username", "").strip().lower() != caller.username.lower():
        raise BadRequest("Type your username to confirm that you mean this account.", field="username")
    wait(services().accounts.own.delete_account(caller, form.get("password", ""), visit()))
    login.forget()
    return redirects.to("/signin", done="deleted")
