"""`/account/tokens`: a user's API tokens. A token's text is in the answer to the form that created it."""

from urllib.parse import quote

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.caller import Caller
from realtime_kv.clock import DAY
from realtime_kv.errors import BadRequest
from realtime_kv.services import services, wait
from realtime_kv.web.http import login
from realtime_kv.web.pages import one_time_forms, redirects
from realtime_kv.web.pages.account import NO_TROUBLE, carry_out, show
from realtime_kv.web.pages.auth import visit
from realtime_kv.web.pages.rendering import FormErrors

token_pages = Blueprint("token_pages", __name__)

HERE = "/account/tokens"
# the lifetimes to choose from, in days; 0 is never
LIFETIMES = {"7": "In a week", "30": "In 30 days", "90": "In 90 days", "365": "In a year", "0": "Never"}


@token_pages.get(HERE)
def tokens() -> AnyResponse:
    return _page(login.signed_in())


@token_pages.post(HERE)
@one_time_forms.guard
def change() -> AnyResponse:
    return carry_out({"create": _create, "revoke": _revoke}, _page)


def _page(caller: Caller, trouble: FormErrors = NO_TROUBLE) -> AnyResponse:
    return show("tokens", caller, trouble, tokens=wait(services().accounts.tokens.list(caller)), lifetimes=LIFETIMES)


def _create(caller: Caller, form: dict[str, str]) -> AnyResponse:
    days = form.get("days", "")
    if days not in LIFETIMES:
        raise BadRequest("Choose when the token expires.", field="days")
    expires_at = services().store.clock() + int(days) * DAY if days != "0" else None
    one_time_forms.claim()
    name, prefix, scope = form.get("name", "").strip(), form.get("prefix", "") or None, form.get("scope", "")
    made = wait(services().accounts.tokens.create(caller, name, scope, prefix, expires_at, visit()))
    page = show("tokens", caller, page="token", made=made, curl=_curl(made.token, prefix))
    return one_time_forms.secret_page(page, redirects.address(HERE, "token_shown"))


def _revoke(caller: Caller, form: dict[str, str]) -> AnyResponse:
    wait(services().accounts.tokens.revoke(caller, form.get("id", ""), visit()))
    return redirects.to(HERE, done="token")


def _curl(token: str, prefix: str | None) -> str:
    """Return a first call, safe to paste into a shell: apart from the token, input is percent-encoded."""
    site = services().config.public_url or request.host_url.rstrip("/")
    query = f"?prefix={quote(prefix, safe='')}" if prefix else ""
    return f'TOKEN={token}\ncurl -H "Authorization: Bearer $TOKEN" \\\n  "{site}/api/v1/list{query}"'
