"""Error handlers: a refusal becomes a problem body under /api/ (RFC 9457), a page elsewhere (protocol §5).

The error classes are the core's. Any other exception is a bug: logged under the request's id, and answered `internal`.
"""

import difflib
import logging
import secrets
from urllib.parse import quote

import msgspec
from flask import Flask, Response, current_app, g, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.errors import (
    BadRequest,
    Internal,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    Refusal,
    Unauthenticated,
)
from realtime_kv.request.authentication import TOO_MUCH
from realtime_kv.services import services
from realtime_kv.web.http import request_auth

log = logging.getLogger(__name__)

API = "/api/v1/"


def register(app: Flask) -> None:
    """Register the handlers for every error of `app`."""
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(HTTPException, _refused_by_werkzeug)
    app.register_error_handler(Exception, _failed)


def refused(refusal: Refusal) -> AnyResponse:
    """Return the answer to a refused request."""
    services().accounts.noticed.note_misaddressed(refusal)
    if isinstance(refusal, RateLimited):
        request.environ[TOO_MUCH] = True
    if not request_auth.is_api() and isinstance(refusal, Unauthenticated):
        return sign_in_first()
    return with_headers(_problem(refusal) if request_auth.is_api() else _page(refusal), refusal)


def with_headers(response: Response, refusal: Refusal) -> Response:
    """Return `response`, with the headers that belong to `refusal`."""
    if "retry_after" in refusal.extra:
        response.headers["Retry-After"] = str(refusal.extra["retry_after"])
    return response


def sign_in_first() -> AnyResponse:
    """Redirect to the sign-in page, and from there back to the requested page."""
    wanted = request.full_path.removesuffix("?") if request.method in {"GET", "HEAD"} else "/"
    return redirect("/signin" if wanted == "/" else f"/signin?next={quote(wanted, safe='/')}", 303)


def _problem(refusal: Refusal) -> Response:
    body = {
        "type": f"urn:rkv:error:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.message,
        "code": refusal.code,
        "request_id": _request_id(),
        **refusal.extra,
    }
    response = Response(msgspec.json.encode(body), refusal.status, mimetype="application/problem+json")
    response.headers["X-Request-Id"] = _request_id()
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _page(refusal: Refusal) -> Response:
    return Response(render_template("error.html", problem=refusal, request_id=_request_id()), refusal.status)


def _refused_by_werkzeug(error: HTTPException) -> AnyResponse:
    allow = None
    if error.code == 404:
        if (page := _without_slash()) is not None:
            return redirect(page, 308)
        refusal: Refusal = NotFound(_no_call() or "There is nothing at this address.")
    elif error.code == 405:
        refusal = MethodNotAllowed(f"{request.method} is not allowed here.")
        allow = error.get_response().headers.get("Allow")
    elif request_auth.is_api() and 400 <= (error.code or 500) < 500:
        refusal = BadRequest(error.description or "This request is not valid.")
    elif request_auth.is_api():
        return _failed(error)
    else:
        # a redirect, or a range that a static file does not have: Werkzeug answers
        return error.get_response()
    response = refused(refusal)
    if allow:
        response.headers["Allow"] = allow
    return response


def _without_slash() -> str | None:
    """Return the requested address without its trailing slash; None if there is no such page."""
    path = request.path.rstrip("/")
    if request.method not in {"GET", "HEAD"} or not request.path.endswith("/") or not path.startswith("/"):
        return None
    if request.path.startswith(("//", "/api/", "/static/")) or not current_app.url_map.bind("").test(path, "GET"):
        return None
    query = request.query_string.decode()
    return quote(path) + (f"?{query}" if query else "")


def _no_call() -> str | None:
    """Return the message for an unknown `/api/v1/…`: the closest name, and the page that lists all of them."""
    name = request.path.removeprefix(API)
    if name == request.path:
        return None
    known = [rule.rule.removeprefix(API) for rule in current_app.url_map.iter_rules() if rule.rule.startswith(API)]
    near = difflib.get_close_matches(name[:64], known, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"There is no call {name[:64]!r}.{meant} The page /api lists all of them."


def _failed(error: Exception) -> AnyResponse:
    # log the rule and not the path, which may contain a one-time secret
    log.error("%s %s failed [%s]", request.method, request.url_rule or "(no rule)", _request_id(), exc_info=error)
    return refused(Internal(_request_id()))


def _request_id() -> str:
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    return str(g.request_id)
