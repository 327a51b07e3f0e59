"""Sign-in, sign-up and sign-out with plain forms that need no JavaScript.

A sign-in that needs a code or a new password asks for it on a separate page; the ticket for it is in a cookie.
"""

from urllib.parse import urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.errors import Forbidden, LinkExpired, PasswordChangeNeeded, Refusal, SecondStepNeeded
from realtime_kv.request import authentication, cookies
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.services import services, wait
from realtime_kv.web.http import login, request_auth
from realtime_kv.web.pages import one_time_forms, redirects, rendering, secret_cookies

signing = Blueprint("signing", __name__)


@signing.get("/signin")
def signin() -> AnyResponse:
    """Show the form; redirect a user who is already signed in."""
    wanted = redirects.local(request.args.get("next"))
    if login.visitor():
        return redirects.to(wanted)
    return rendering.page("signin.html", next=wanted, kept=True, done=redirects.said(request.args.get("done")))


@signing.post("/signin")
def post_signin() -> AnyResponse:
    form = request_auth.form()
    wanted, kept, username = _wanted(form), "kept" in form, form.get("username", "")
    sign_in = services().accounts.access.sign_in
    try:
        entered = sign_in(username, form.get("password", ""), visit(), replacing=_old(), kept=kept)
        login.begin(wait(entered))
    except SecondStepNeeded as step:
        return secret_cookies.STEP.keep(redirects.to(_code_page(wanted, kept)), step.extra["ticket"])
    except PasswordChangeNeeded as owed:
        return _choose_a_password(owed)
    except Refusal as refusal:
        return rendering.page("signin.html", refusal, username=username[:64], next=wanted, kept=kept)
    return redirects.to(wanted)


@signing.get("/signin/code")
def code() -> AnyResponse:
    """Show the form for the code that a sign-in needs; with `by=recovery` for one of the recovery codes."""
    wanted, kept = redirects.local(request.args.get("next")), "kept" in request.args
    if login.visitor():
        return redirects.to(wanted)
    if secret_cookies.STEP.held() is None:
        return redirects.to("/signin")
    return _ask_for_code(request.args.get("by", ""), wanted, kept)


@signing.post("/signin/code")
def post_code() -> AnyResponse:
    form = request_auth.form()
    wanted, kept, ticket = _wanted(form), "kept" in form, secret_cookies.STEP.held()
    second_step = services().accounts.access.second_step
    try:
        if ticket is None:
            raise LinkExpired()
        login.begin(wait(second_step(ticket, form.get("code", ""), visit(), replacing=_old(), kept=kept)))
    except PasswordChangeNeeded as owed:
        return secret_cookies.STEP.drop(_choose_a_password(owed))
    except LinkExpired as refusal:
        # too late, or too many wrong codes: start again
        return secret_cookies.STEP.drop(rendering.page("signin.html", refusal, next=wanted, kept=kept))
    except Refusal as refusal:
        return _ask_for_code(form.get("by", ""), wanted, kept, refusal)
    return secret_cookies.STEP.drop(redirects.to(wanted))


@signing.get("/signup")
def signup() -> AnyResponse:
    """Show the form; redirect a user who is already signed in, and explain why a visitor may not sign up."""
    wanted = redirects.local(request.args.get("next"))
    if login.visitor():
        return redirects.to(wanted)
    try:
        wait(services().accounts.access.check_sign_up(secret_cookies.INVITATION.held(), visit()))
    except (Forbidden, LinkExpired) as refusal:
        return _signup_closed(refusal)
    return rendering.page("signup.html", next=wanted)


@signing.post("/signup")
@one_time_forms.guard
def post_signup() -> AnyResponse:
    """Create a user and sign them in; the recovery codes are in this answer and nowhere else, ever."""
    form = request_auth.form()
    wanted, username, invitation = _wanted(form), form.get("username", ""), secret_cookies.INVITATION.held()
    sign_up = services().accounts.access.sign_up
    try:
        one_time_forms.claim()
        password = form.get("password", "")
        signed_in = wait(sign_up(username, password, visit(), replacing=_old(), invitation=invitation))
    except (Forbidden, LinkExpired) as refusal:
        return _signup_closed(refusal)
    except Refusal as refusal:
        return rendering.page("signup.html", refusal, username=username[:64], next=wanted)
    login.begin(signed_in)
    page = rendering.page("codes.html", codes=signed_in.codes, username=signed_in.user.username, next=wanted, new=True)
    return secret_cookies.INVITATION.drop(
        one_time_forms.secret_page(page, redirects.address("/account/security", "codes_shown"))
    )


@signing.get("/invite/<secret>")
def invite(secret: str) -> AnyResponse:
    """Move an invitation's secret from the address of its link into a cookie at once."""
    return secret_cookies.INVITATION.keep(redirects.to("/signup"), secret)


@signing.post("/signout")
def signout() -> AnyResponse:
    request_auth.form()
    if token := _old():
        wait(services().accounts.access.sign_out(token, visit()))
    login.forget()
    return redirects.to("/signin")


def visit() -> ClientInfo:
    """Return the client of this request: its program and its address."""
    return authentication.visit(request.environ, services().config)


def _old() -> str | None:
    return cookies.session_token(request.environ, services().config)


def _wanted(form: dict[str, str]) -> str:
    return redirects.local(form.get("next") or request.args.get("next"))


def _code_page(wanted: str, kept: bool, by: str = "") -> str:
    query = {"next": wanted} | ({"kept": "yes"} if kept else {}) | ({"by": by} if by else {})
    return f"/signin/code?{urlencode(query)}"


def _signup_closed(refusal: Refusal) -> AnyResponse:
    page = rendering.page("signup_closed.html", refusal)
    return secret_cookies.INVITATION.drop(page) if isinstance(refusal, LinkExpired) else page


def _ask_for_code(by: str, wanted: str, kept: bool, problem: Refusal | None = None) -> AnyResponse:
    recovery = by == "recovery"
    other = _code_page(wanted, kept, "" if recovery else "recovery")
    return rendering.page("code.html", problem, recovery=recovery, next=wanted, kept=kept, other=other)


def _choose_a_password(owed: PasswordChangeNeeded) -> AnyResponse:
    return secret_cookies.RECOVERY.keep(redirects.to("/recover/password"), owed.extra["ticket"])
