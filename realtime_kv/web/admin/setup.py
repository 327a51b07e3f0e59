"""/setup: creation of the first superuser by the holder of the link that was printed at the first start."""

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.credentials import one_time_tokens
from realtime_kv.errors import LinkExpired, Refusal
from realtime_kv.request import cookies
from realtime_kv.services import services, wait
from realtime_kv.web.http import login, request_auth
from realtime_kv.web.pages import auth, one_time_forms, redirects, rendering
from realtime_kv.web.pages.secret_cookies import SecretCookie

setup = Blueprint("setup", __name__, url_prefix="/setup")

SETUP = SecretCookie("rkv_setup", one_time_tokens.LIFETIMES["setup"])


@setup.get("/<secret>")
def arrive(secret: str) -> AnyResponse:
    """Move the secret from the address into a cookie at once."""
    return SETUP.keep(redirects.to("/setup"), secret)


@setup.get("")
def ask() -> AnyResponse:
    """Show the form. Raises LinkExpired."""
    wait(services().accounts.administration.check_setup(_secret()))
    return rendering.page("setup.html", username="")


@setup.post("")
@one_time_forms.guard
def make() -> AnyResponse:
    """Create the first superuser and sign them in; the recovery codes are in this answer and nowhere else, ever."""
    form = request_auth.form()
    username, environ = form.get("username", ""), request.environ
    old = cookies.session_token(environ, services().config)
    use = services().accounts.administration.use_setup
    try:
        one_time_forms.claim()
        entered = wait(use(_secret(), username, form.get("password", ""), auth.visit(), replacing=old))
    except LinkExpired:
        raise
    except Refusal as refusal:
        return rendering.page("setup.html", refusal, username=username[:64])
    login.begin(entered)
    page = rendering.page(
        "recovery_codes.html", codes=entered.codes, username=entered.user.username, next="/admin", new=True
    )
    return one_time_forms.secret_page(SETUP.drop(page), redirects.address("/account/security", "codes_shown"))


def _secret() -> str:
    secret = SETUP.held()
    if secret is None:
        raise LinkExpired()
    return secret
