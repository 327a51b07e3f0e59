"""`/account/security`: password, two-step sign-in, recovery codes, email address; changes ask for the password."""

from flask import Blueprint
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.caller import Caller
from realtime_kv.errors import BadRequest
from realtime_kv.services import services, wait
from realtime_kv.web.http import login
from realtime_kv.web.pages import one_time_forms, redirects, rendering
from realtime_kv.web.pages.account import NO_TROUBLE, carry_out, show
from realtime_kv.web.pages.auth import visit
from realtime_kv.web.pages.rendering import FormErrors

security_pages = Blueprint("security_pages", __name__)

HERE = "/account/security"
TWO_STEP = "/account/security/two-step"
# audit log entries shown here; `/account/events` has all of them
_LATEST = 5


@security_pages.get(HERE)
def security() -> AnyResponse:
    return _page(login.signed_in())


@security_pages.get(TWO_STEP)
def two_step() -> AnyResponse:
    """Show the second part of the set-up, after the secret has been shown."""
    return _ask_for_first_code(login.signed_in())


@security_pages.post(HERE)
@one_time_forms.guard
def change() -> AnyResponse:
    acts = {
        "password": _change_password,
        "codes": _renew_codes,
        "two_step": _begin_two_step,
        "confirm": _confirm_two_step,
        "two_step_off": _end_two_step,
        "wrong_codes": _reset_wrong_codes,
        "email": _set_email,
        "email_off": _forget_email,
    }
    return carry_out(acts, _page)


def _page(caller: Caller, trouble: FormErrors = NO_TROUBLE) -> AnyResponse:
    if trouble.form == "confirm":
        return _ask_for_first_code(caller, trouble)
    latest = wait(services().accounts.own.events(caller, None, _LATEST))
    return show("security", caller, trouble, events=latest, mail=services().accounts.recovery.mail_enabled)


def _ask_for_first_code(caller: Caller, trouble: FormErrors = NO_TROUBLE) -> AnyResponse:
    # the app has the secret already, so it is not shown again
    return show("security", caller, trouble, page="two_step", enrolment=None)


def _change_password(caller: Caller, form: dict[str, str]) -> AnyResponse:
    changing = services().accounts.own.change_password(caller, _password(form), form.get("new_password", ""), visit())
    login.begin(wait(changing))
    return redirects.to(HERE, done="password")


def _renew_codes(caller: Caller, form: dict[str, str]) -> AnyResponse:
    one_time_forms.claim()
    codes = wait(services().accounts.recovery.renew_codes(caller, _password(form), visit()))
    return _show_codes(caller, codes)


def _begin_two_step(caller: Caller, form: dict[str, str]) -> AnyResponse:
    one_time_forms.claim()
    enrolment = wait(services().accounts.two_step.begin(caller, _password(form), visit()))
    page = show("security", caller, page="two_step", enrolment=enrolment)
    return one_time_forms.secret_page(page, redirects.address(TWO_STEP, "two_step_begun"))


def _confirm_two_step(caller: Caller, form: dict[str, str]) -> AnyResponse:
    one_time_forms.claim()
    signed_in = wait(services().accounts.two_step.confirm(caller, form.get("code", ""), visit()))
    login.begin(signed_in)
    return _show_codes(caller, signed_in.codes) if signed_in.codes else redirects.to(HERE, done="two_step_on")


def _end_two_step(caller: Caller, form: dict[str, str]) -> AnyResponse:
    login.begin(wait(services().accounts.two_step.end(caller, _password(form), visit())))
    return redirects.to(HERE, done="two_step_off")


def _reset_wrong_codes(caller: Caller, form: dict[str, str]) -> AnyResponse:
    wait(services().accounts.two_step.reset_failures(caller, _password(form), visit()))
    return redirects.to(HERE, done="wrong_codes")


def _set_email(caller: Caller, form: dict[str, str]) -> AnyResponse:
    if not (email := form.get("email", "").strip()):
        raise BadRequest("Type the email address for recovery links.", field="email")
    wait(services().accounts.recovery.set_email(caller, _password(form), email, visit()))
    return redirects.to(HERE, done="email_sent")


def _forget_email(caller: Caller, form: dict[str, str]) -> AnyResponse:
    wait(services().accounts.recovery.set_email(caller, _password(form), "", visit()))
    return redirects.to(HERE, done="email_gone")


def _password(form: dict[str, str]) -> str:
    return form.get("password", "")


def _show_codes(caller: Caller, codes: tuple[str, ...]) -> AnyResponse:
    """Show recovery codes, only in the answer to the form that asked for them."""
    page = rendering.page("recovery_codes.html", codes=codes, username=caller.username, next=HERE, new=False)
    return one_time_forms.secret_page(page, redirects.address(HERE, "codes_shown"))
