"""Account recovery pages: by a recovery code, a link in a mail, or a link from a superuser.

Browsers and mail scanners may open a link any number of times: only the form behind it uses it up.
"""

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.errors import InvalidPassword, LinkExpired, Refusal
from realtime_kv.services import services, wait
from realtime_kv.web.http import request_auth
from realtime_kv.web.pages import redirects, rendering, secret_cookies
from realtime_kv.web.pages.auth import visit

recovery_pages = Blueprint("recovery_pages", __name__)


@recovery_pages.get("/recover")
def recover() -> AnyResponse:
    """Show the available ways of recovery."""
    return rendering.page("recover/ways.html", mail=services().accounts.recovery.mail_enabled)


@recovery_pages.get("/recover/code")
def ask_for_code() -> AnyResponse:
    return rendering.page("recover/code.html")


@recovery_pages.post("/recover/code")
def by_code() -> AnyResponse:
    """Set a new password with a recovery code. The code is shown again only if the password was the error."""
    form = request_auth.form()
    username, code = form.get("username", ""), form.get("code", "")
    try:
        wait(services().accounts.recovery.by_code(username, code, form.get("new_password", ""), visit()))
    except Refusal as refusal:
        still_good = code[:64] if isinstance(refusal, InvalidPassword) else ""
        return rendering.page("recover/code.html", refusal, username=username[:64], code=still_good)
    return redirects.to("/signin", done="password_set")


@recovery_pages.get("/recover/mail")
def ask_for_mail() -> AnyResponse:
    return rendering.page("recover/mail.html", mail=services().accounts.recovery.mail_enabled)


@recovery_pages.post("/recover/mail")
def by_mail() -> AnyResponse:
    """Send a mail with a link; the answer is the same for every name."""
    username = request_auth.form().get("username", "")
    try:
        wait(services().accounts.recovery.by_mail(username, visit()))
    except Refusal as refusal:
        mail = services().accounts.recovery.mail_enabled
        return rendering.page("recover/mail.html", refusal, username=username[:64], mail=mail)
    return rendering.page("recover/mail_sent.html")


@recovery_pages.get("/recover/password")
def ask_for_password() -> AnyResponse:
    """Show the form behind a link, and behind a sign-in whose password must be changed."""
    return _password_form()


@recovery_pages.post("/recover/password")
def by_link() -> AnyResponse:
    new_password, secret = request_auth.form().get("new_password", ""), secret_cookies.RECOVERY.held()
    try:
        if secret is None:
            raise LinkExpired()
        wait(services().accounts.recovery.by_link(secret, new_password, visit()))
    except LinkExpired as refusal:
        return _expired(refusal)
    except Refusal as refusal:
        return _password_form(refusal)
    return secret_cookies.RECOVERY.drop(redirects.to("/signin", done="password_set"))


@recovery_pages.get("/recover/<secret>")
def link(secret: str) -> AnyResponse:
    """Move the secret from the address into a cookie at once."""
    return secret_cookies.RECOVERY.keep(redirects.to("/recover/password"), secret)


@recovery_pages.get("/account/email/<secret>")
def email_link(secret: str) -> AnyResponse:
    """Like `link`, for the confirmation of an email address; no sign-in is needed."""
    return secret_cookies.EMAIL.keep(redirects.to("/account/email"), secret)


@recovery_pages.get("/account/email")
def ask_to_confirm_email() -> AnyResponse:
    return rendering.page("recover/email.html") if secret_cookies.EMAIL.held() else _expired(LinkExpired())


@recovery_pages.post("/account/email")
def confirm_email() -> AnyResponse:
    request_auth.form()
    secret = secret_cookies.EMAIL.held()
    try:
        if secret is None:
            raise LinkExpired()
        wait(services().accounts.recovery.confirm_email(secret, visit()))
    except LinkExpired as refusal:
        return secret_cookies.EMAIL.drop(_expired(refusal))
    return secret_cookies.EMAIL.drop(redirects.to("/account/security", done="email"))


def _password_form(problem: Refusal | None = None) -> AnyResponse:
    secret = secret_cookies.RECOVERY.held()
    try:
        if secret is None:
            raise LinkExpired()
        username = wait(services().accounts.recovery.who(secret))
    except LinkExpired as refusal:
        return _expired(refusal)
    return rendering.page("recover/password.html", problem, username=username)


def _expired(refusal: LinkExpired) -> AnyResponse:
    # the cookie stays here, so that a reload gives the same answer
    return rendering.page("recover/expired.html", refusal, email=request.path.startswith("/account/"))
