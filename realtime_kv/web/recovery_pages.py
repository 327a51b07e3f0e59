"""Account recovery pages: by a recovery code, a link in a mail, or a link from a superuser.

Browsers and mail scanners may open a link any number of times: only the form behind it uses it up.
"""

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.core.errors import InvalidPassword, LinkExpired, Refusal
from realtime_kv.web import going, security, shown, tickets
from realtime_kv.web.house import house, wait
from realtime_kv.web.signing import visit

recovery_pages = Blueprint("recovery_pages", __name__)


@recovery_pages.get("/recover")
def recover() -> AnyResponse:
    """Show the available ways of recovery."""
    return shown.page("recover/ways.html", mail=house().accounts.recovery.mail_enabled)


@recovery_pages.get("/recover/code")
def ask_for_code() -> AnyResponse:
    return shown.page("recover/code.html")


@recovery_pages.post("/recover/code")
def by_code() -> AnyResponse:
    """Set a new password with a recovery code. The code is shown again only if the password was the error."""
    form = security.form()
    username, code = form.get("username", ""), form.get("code", "")
    try:
        wait(house().accounts.recovery.by_code(username, code, form.get("new_password", ""), visit()))
    except Refusal as refusal:
        still_good = code[:64] if isinstance(refusal, InvalidPassword) else ""
        return shown.page("recover/code.html", refusal, username=username[:64], code=still_good)
    return going.to("/signin", done="password_set")


@recovery_pages.get("/recover/mail")
def ask_for_mail() -> AnyResponse:
    return shown.page("recover/mail.html", mail=house().accounts.recovery.mail_enabled)


@recovery_pages.post("/recover/mail")
def by_mail() -> AnyResponse:
    """Send a mail with a link; the answer is the same for every name."""
    username = security.form().get("username", "")
    try:
        wait(house().accounts.recovery.by_mail(username, visit()))
    except Refusal as refusal:
        mail = house().accounts.recovery.mail_enabled
        return shown.page("recover/mail.html", refusal, username=username[:64], mail=mail)
    return shown.page("recover/mail_sent.html")


@recovery_pages.get("/recover/password")
def ask_for_password() -> AnyResponse:
    """Show the form behind a link, and behind a sign-in whose password must be changed."""
    return _password_form()


@recovery_pages.post("/recover/password")
def by_link() -> AnyResponse:
    new_password, secret = security.form().get("new_password", ""), tickets.RECOVERY.held()
    try:
        if secret is None:
            raise LinkExpired()
        wait(house().accounts.recovery.by_link(secret, new_password, visit()))
    except LinkExpired as refusal:
        return _expired(refusal)
    except Refusal as refusal:
        return _password_form(refusal)
    return tickets.RECOVERY.drop(going.to("/signin", done="password_set"))


@recovery_pages.get("/recover/<secret>")
def link(secret: str) -> AnyResponse:
    """Move the secret from the address into a cookie at once."""
    return tickets.RECOVERY.keep(going.to("/recover/password"), secret)


@recovery_pages.get("/account/email/<secret>")
def email_link(secret: str) -> AnyResponse:
    """Like `link`, for the confirmation of an email address; no sign-in is needed."""
    return tickets.EMAIL.keep(going.to("/account/email"), secret)


@recovery_pages.get("/account/email")
def ask_to_confirm_email() -> AnyResponse:
    return shown.page("recover/email.html") if tickets.EMAIL.held() else _expired(LinkExpired())


@recovery_pages.post("/account/email")
def confirm_email() -> AnyResponse:
    security.form()
    secret = tickets.EMAIL.held()
    try:
        if secret is None:
            raise LinkExpired()
        wait(house().accounts.recovery.confirm_email(secret, visit()))
    except LinkExpired as refusal:
        return tickets.EMAIL.drop(_expired(refusal))
    return tickets.EMAIL.drop(going.to("/account/security", done="email"))


def _password_form(problem: Refusal | None = None) -> AnyResponse:
    secret = tickets.RECOVERY.held()
    try:
        if secret is None:
            raise LinkExpired()
        username = wait(house().accounts.recovery.who(secret))
    except LinkExpired as refusal:
        return _expired(refusal)
    return shown.page("recover/password.html", problem, username=username)


def _expired(refusal: LinkExpired) -> AnyResponse:
    # the cookie stays here, so that a reload gives the same answer
    return shown.page("recover/expired.html", refusal, email=request.path.startswith("/account/"))
