"""Sign-in, sign-up and sign-out with plain forms that need no JavaScript.

A sign-in that needs a code or a new password asks for it on a separate page; the ticket for it is in a cookie.
"""

from urllib.parse import urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts import cookies, door
from realtime_kv.accounts.visit import Visit
from realtime_kv.core.errors import Forbidden, LinkExpired, PasswordChangeNeeded, Refusal, SecondStepNeeded
from realtime_kv.web import going, one_time_forms, security, sessions, shown, tickets
from realtime_kv.web.house import house, wait

signing = Blueprint("signing", __name__)


@signing.get("/signin")
def signin() -> AnyResponse:
    """Show the form; redirect a user who is already signed in."""
    wanted = going.local(request.args.get("next"))
    if sessions.visitor():
        return going.to(wanted)
    return shown.page("signin.html", next=wanted, kept=True, done=going.said(request.args.get("done")))


@signing.post("/signin")
def post_signin() -> AnyResponse:
    form = security.form()
    wanted, kept, username = _wanted(form), "kept" in form, form.get("username", "")
    sign_in = house().accounts.sign_in
    try:
        entered = sign_in(username, form.get("password", ""), visit(), replacing=_old(), kept=kept)
        sessions.begin(wait(entered))
    except SecondStepNeeded as step:
        return tickets.STEP.keep(going.to(_code_page(wanted, kept)), step.extra["ticket"])
    except PasswordChangeNeeded as owed:
        return _choose_a_password(owed)
    except Refusal as refusal:
        return shown.page("signin.html", refusal, username=username[:64], next=wanted, kept=kept)
    return going.to(wanted)


@signing.get("/signin/code")
def code() -> AnyResponse:
    """Show the form for the code that a sign-in needs; with `by=recovery` for one of the recovery codes."""
    wanted, kept = going.local(request.args.get("next")), "kept" in request.args
    if sessions.visitor():
        return going.to(wanted)
    if tickets.STEP.held() is None:
        return going.to("/signin")
    return _ask_for_code(request.args.get("by", ""), wanted, kept)


@signing.post("/signin/code")
def post_code() -> AnyResponse:
    form = security.form()
    wanted, kept, ticket = _wanted(form), "kept" in form, tickets.STEP.held()
    second_step = house().accounts.second_step
    try:
        if ticket is None:
            raise LinkExpired()
        sessions.begin(wait(second_step(ticket, form.get("code", ""), visit(), replacing=_old(), kept=kept)))
    except PasswordChangeNeeded as owed:
        return tickets.STEP.drop(_choose_a_password(owed))
    except LinkExpired as refusal:
        # too late, or too many wrong codes: start again
        return tickets.STEP.drop(shown.page("signin.html", refusal, next=wanted, kept=kept))
    except Refusal as refusal:
        return _ask_for_code(form.get("by", ""), wanted, kept, refusal)
    return tickets.STEP.drop(going.to(wanted))


@signing.get("/signup")
def signup() -> AnyResponse:
    """Show the form; redirect a user who is already signed in, and explain why a visitor may not sign up."""
    wanted = going.local(request.args.get("next"))
    if sessions.visitor():
        return going.to(wanted)
    try:
        wait(house().accounts.check_sign_up(tickets.INVITATION.held(), visit()))
    except (Forbidden, LinkExpired) as refusal:
        return _signup_closed(refusal)
    return shown.page("signup.html", next=wanted)


@signing.post("/signup")
@one_time_forms.guard
def post_signup() -> AnyResponse:
    """Create a user and sign them in; the recovery codes are in this answer and nowhere else, ever."""
    form = security.form()
    wanted, username, invitation = _wanted(form), form.get("username", ""), tickets.INVITATION.held()
    sign_up = house().accounts.sign_up
    try:
        one_time_forms.claim()
        password = form.get("password", "")
        signed_in = wait(sign_up(username, password, visit(), replacing=_old(), invitation=invitation))
    except (Forbidden, LinkExpired) as refusal:
        return _signup_closed(refusal)
    except Refusal as refusal:
        return shown.page("signup.html", refusal, username=username[:64], next=wanted)
    sessions.begin(signed_in)
    page = shown.page("codes.html", codes=signed_in.codes, username=signed_in.user.username, next=wanted, new=True)
    return tickets.INVITATION.drop(one_time_forms.secret_page(page, going.address("/account/security", "codes_shown")))


@signing.get("/invite/<secret>")
def invite(secret: str) -> AnyResponse:
    """Move an invitation's secret from the address of its link into a cookie at once."""
    return tickets.INVITATION.keep(going.to("/signup"), secret)


@signing.post("/signout")
def signout() -> AnyResponse:
    security.form()
    if token := _old():
        wait(house().accounts.sign_out(token, visit()))
    sessions.forget()
    return going.to("/signin")


def visit() -> Visit:
    """Return the client of this request: its program and its address."""
    return door.visit(request.environ, house().config)


def _old() -> str | None:
    return cookies.session_token(request.environ, house().config)


def _wanted(form: dict[str, str]) -> str:
    return going.local(form.get("next") or request.args.get("next"))


def _code_page(wanted: str, kept: bool, by: str = "") -> str:
    query = {"next": wanted} | ({"kept": "yes"} if kept else {}) | ({"by": by} if by else {})
    return f"/signin/code?{urlencode(query)}"


def _signup_closed(refusal: Refusal) -> AnyResponse:
    page = shown.page("signup_closed.html", refusal)
    return tickets.INVITATION.drop(page) if isinstance(refusal, LinkExpired) else page


def _ask_for_code(by: str, wanted: str, kept: bool, problem: Refusal | None = None) -> AnyResponse:
    recovery = by == "recovery"
    other = _code_page(wanted, kept, "" if recovery else "recovery")
    return shown.page("code.html", problem, recovery=recovery, next=wanted, kept=kept, other=other)


def _choose_a_password(owed: PasswordChangeNeeded) -> AnyResponse:
    return tickets.RECOVERY.keep(going.to("/recover/password"), owed.extra["ticket"])
