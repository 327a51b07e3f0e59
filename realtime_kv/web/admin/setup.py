"""/setup: creation of the first superuser by the holder of the link that was printed at the first start."""

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts import cookies, links
from realtime_kv.core.errors import LinkExpired, Refusal
from realtime_kv.web import going, one_time_forms, security, sessions, shown, signing
from realtime_kv.web.house import house, wait
from realtime_kv.web.tickets import Pocket

setup = Blueprint("setup", __name__, url_prefix="/setup")

SETUP = Pocket("rkv_setup", links.LIFETIMES["setup"])


@setup.get("/<secret>")
def arrive(secret: str) -> AnyResponse:
    """Move the secret from the address into a cookie at once."""
    return SETUP.keep(going.to("/setup"), secret)


@setup.get("")
def ask() -> AnyResponse:
    """Show the form. Raises LinkExpired."""
    wait(house().accounts.administration.check_setup(_secret()))
    return shown.page("setup.html", username="")


@setup.post("")
@one_time_forms.guard
def make() -> AnyResponse:
    """Create the first superuser and sign them in; the recovery codes are in this answer and nowhere else, ever."""
    form = security.form()
    username, environ = form.get("username", ""), request.environ
    old = cookies.session_token(environ, house().config)
    use = house().accounts.administration.use_setup
    try:
        one_time_forms.claim()
        entered = wait(use(_secret(), username, form.get("password", ""), signing.visit(), replacing=old))
    except LinkExpired:
        raise
    except Refusal as refusal:
        return shown.page("setup.html", refusal, username=username[:64])
    sessions.begin(entered)
    page = shown.page("codes.html", codes=entered.codes, username=entered.user.username, next="/admin", new=True)
    return one_time_forms.secret_page(SETUP.drop(page), going.address("/account/security", "codes_shown"))


def _secret() -> str:
    secret = SETUP.held()
    if secret is None:
        raise LinkExpired()
    return secret
