"""The gate of /admin: who comes in, and in whose name things are done there."""

from typing import Any

from flask import Blueprint, Response, g, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.administration import Administration
from realtime_kv.accounts.audit import Doer
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import Forbidden, NotFound, Refusal, Unauthenticated
from realtime_kv.core.runtime import Future
from realtime_kv.web import shown, signing
from realtime_kv.web.house import house, wait
from realtime_kv.web.sessions import visitor

admin = Blueprint("admin", __name__, url_prefix="/admin")


@admin.before_request
def let_in() -> AnyResponse | None:
    """Superusers who have signed in with a browser; nobody else learns what there is.

    Raises Unauthenticated, which leads to the sign-in page, or Forbidden.
    """
    if request.method == "OPTIONS":
        # the same for every path, whoever asks
        return Response(status=204, headers={"Allow": "GET, HEAD, OPTIONS, POST"})
    # by the cookie: an API token does not come this far, nor does a bearer session
    caller = visitor()
    if caller is None:
        raise Unauthenticated()
    if not caller.is_admin:
        raise Forbidden("These pages are for superusers.", needs="admin")
    g.caller = caller
    if house().config.admin_two_step and not wait(administration().two_step(caller)):
        return Response(render_template("admin/two_step.html", caller=caller), 403)
    return None


@admin.route("/<path:_rest>", methods=["GET", "POST"])
def nothing(_rest: str) -> AnyResponse:
    """What does not exist is not there for superusers either; others are told the same of everything."""
    raise NotFound("There is nothing at this address.")


def administration() -> Administration:
    """What a superuser can do."""
    return house().accounts.administration


def caller() -> Caller:
    """The superuser who asks."""
    found: Caller = g.caller
    return found


def doer() -> Doer:
    """In whose name this request acts."""
    return Doer("admin", caller().user_id, signing.visit())


def confirm(form: dict[str, str]) -> None:
    """The password again. Raises InvalidCredentials or RateLimited."""
    answer: Future[None] = administration().confirm(caller(), form.get("password", ""), signing.visit())
    wait(answer)


def page(template: str, problem: Refusal | None = None, **context: Any) -> Response:
    """A page of a superuser's."""
    return shown.page(f"admin/{template}", problem, caller=caller(), path=request.path, **context)


def number(text: str) -> int | None:
    """A whole number in plain digits; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None
