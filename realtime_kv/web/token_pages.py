"""`/account/tokens`: a user's API tokens. A token's text is in the answer to the form that created it."""

from urllib.parse import quote

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.sessions import DAY
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import BadRequest
from realtime_kv.web import going, one_time_forms, sessions
from realtime_kv.web.account_pages import NO_TROUBLE, carry_out, show
from realtime_kv.web.house import house, wait
from realtime_kv.web.shown import Trouble
from realtime_kv.web.signing import visit

token_pages = Blueprint("token_pages", __name__)

HERE = "/account/tokens"
# the lifetimes to choose from, in days; 0 is never
LIFETIMES = {"7": "In a week", "30": "In 30 days", "90": "In 90 days", "365": "In a year", "0": "Never"}


@token_pages.get(HERE)
def tokens() -> AnyResponse:
    return _page(sessions.signed_in())


@token_pages.post(HERE)
@one_time_forms.guard
def change() -> AnyResponse:
    return carry_out({"create": _create, "revoke": _revoke}, _page)


def _page(caller: Caller, trouble: Trouble = NO_TROUBLE) -> AnyResponse:
    return show("tokens", caller, trouble, tokens=wait(house().accounts.tokens.list(caller)), lifetimes=LIFETIMES)


def _create(caller: Caller, form: dict[str, str]) -> AnyResponse:
    days = form.get("days", "")
    if days not in LIFETIMES:
        raise BadRequest("Choose when the token is to expire.", field="days")
    expires_at = house().store.clock() + int(days) * DAY if days != "0" else None
    one_time_forms.claim()
    name, prefix, scope = form.get("name", "").strip(), form.get("prefix", "") or None, form.get("scope", "")
    made = wait(house().accounts.tokens.create(caller, name, scope, prefix, expires_at, visit()))
    page = show("tokens", caller, page="token", made=made, curl=_curl(made.token, prefix))
    return one_time_forms.secret_page(page, going.address(HERE, "token_shown"))


def _revoke(caller: Caller, form: dict[str, str]) -> AnyResponse:
    wait(house().accounts.tokens.revoke(caller, form.get("id", ""), visit()))
    return going.to(HERE, done="token")


def _curl(token: str, prefix: str | None) -> str:
    """Return a first call, safe to paste into a shell: apart from the token, input is percent-encoded."""
    site = house().config.public_url or request.host_url.rstrip("/")
    query = f"?prefix={quote(prefix, safe='')}" if prefix else ""
    return f'TOKEN={token}\ncurl -H "Authorization: Bearer $TOKEN" \\\n  "{site}/api/v1/list{query}"'
