"""Access to /admin: its blueprint, the access check, and the actor of every request."""

from typing import Any

from flask import Blueprint, Response, g, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.accounts.admin.service import AdminService
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import Forbidden, NotFound, Refusal, Unauthenticated
from realtime_kv.services import services, wait
from realtime_kv.web.http.login import visitor
from realtime_kv.web.pages import auth, rendering

admin = Blueprint("admin", __name__, url_prefix="/admin")


@admin.before_request
def let_in() -> AnyResponse | None:
    """Admit superusers who have signed in with a browser; nobody else learns which pages exist.

    Raises Unauthenticated, which leads to the sign-in page, or Forbidden.
    """
    if request.method == "OPTIONS":
        # the same for every path and every client
        return Response(status=204, headers={"Allow": "GET, HEAD, OPTIONS, POST"})
    # identified by the cookie: API tokens and bearer sessions are not accepted here
    caller = visitor()
    if caller is None:
        raise Unauthenticated()
    if not caller.is_admin:
        raise Forbidden("These pages are for superusers.", needs="admin")
    g.caller = caller
    if services().config.admin_two_step and not wait(administration().two_step(caller)):
        return Response(render_template("admin/two_step.html", caller=caller), 403)
    return None


@admin.route("/<path:_rest>", methods=["GET", "POST"])
def nothing(_rest: str) -> AnyResponse:
    """Answer superusers NotFound for an unknown path; others get one answer for all paths, known or unknown."""
    raise NotFound("There is nothing at this address.")


def administration() -> AdminService:
    """Return the service with the commands of superusers."""
    return services().accounts.administration


def caller() -> Caller:
    """Return the superuser who sent this request."""
    found: Caller = g.caller
    return found


def actor() -> Actor:
    """Return the actor of this request, for the audit log."""
    return Actor("admin", caller().user_id, auth.visit())


def confirm(form: dict[str, str]) -> None:
    """Re-authenticate the caller by password. Raises InvalidCredentials or RateLimited."""
    answer: Future[None] = administration().confirm(caller(), form.get("password", ""), auth.visit())
    wait(answer)


def page(template: str, problem: Refusal | None = None, **context: Any) -> Response:
    """Return a superuser page."""
    return rendering.page(f"admin/{template}", problem, caller=caller(), path=request.path, **context)


def number(text: str) -> int | None:
    """Parse a whole number in plain digits; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None
