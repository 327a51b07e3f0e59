"""Request authentication: the caller, the origin, and the headers that say who may read and cache the answer.

`request.authentication` reads credentials and `request.origin_check` checks origins, the same for sockets. Protection
against requests that a page of another site makes the browser send:

1. The cookie is SameSite=Lax, so no other site's POST sends it.
2. The request's `Origin` (or its `Sec-Fetch-Site`), which no page can forge, has to be ours.
3. A form holds a token (csrf.py), and a JSON call has a content type that no form sends.
"""

from flask import Flask, Response, g, request

from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import Unauthenticated
from realtime_kv.request import authentication, origin_check
from realtime_kv.services import services
from realtime_kv.web.http import csrf, login, parsing

_ACCOUNT_CHANGES = frozenset({"own", "tokens", "account_pages", "security_pages", "token_pages", "recovery_pages"})
_ENDINGS = frozenset({"own.end_session", "own.end_other_sessions", "account_pages.end_sessions"})


def register(app: Flask) -> None:
    """Add the checks of every request to `app`, and the headers of every answer."""
    app.before_request(_check_host)
    app.before_request(login.settle)
    app.before_request(_mark_account_change)
    csrf.register(app)
    app.after_request(_not_kept)
    app.after_request(_notice)
    app.after_request(_cross_origin)


def caller() -> Caller:
    """Return the caller of this request. Raises Unauthenticated or Forbidden."""
    token, kind = authentication.credentials(request.environ, services().config)
    if kind is None:
        raise Unauthenticated()
    check_origin(kind)
    return login.look_up(token, kind)


def check_origin(kind: authentication.Kind) -> None:
    """Raise Forbidden unless the page that sends this request may use credentials of that kind."""
    origin_check.check_origin(request.environ, services().config, kind)


def form() -> dict[str, str]:
    """Return the fields of a form of this server. Raises Forbidden, BadRequest, TooLarge."""
    check_origin("cookie")
    return csrf.check(form_fields())


def form_fields() -> dict[str, str]:
    """Return the fields of a form of any origin; the body is read once per request. Raises BadRequest, TooLarge."""
    if "form_fields" not in g:
        g.form_fields = Future.called(parsing.form)
    return dict(g.form_fields.result())


def is_api() -> bool:
    """Return whether the request is for the API, where every answer is JSON."""
    return request.path.startswith("/api/")


def _check_host() -> None:
    """Raise HostRefused for a host name that is not this server's. Probes may use any address."""
    if request.path not in {"/healthz", "/readyz", "/metrics"}:
        origin_check.check_host(request.environ, services().config)


def _mark_account_change() -> None:
    """Mark the requests that change an account; ending sessions is never delayed."""
    if request.method == "POST" and request.blueprint in _ACCOUNT_CHANGES and request.endpoint not in _ENDINGS:
        request.environ[authentication.ACCOUNT_CHANGE] = True


def _not_kept(response: Response) -> Response:
    # static files set their own: revalidated by their ETag
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _notice(response: Response) -> Response:
    """Write an answer to the security log if its request may be an attempt at abuse."""
    # log the rule and not the path, which may contain a one-time secret
    what = f"{request.method} {request.url_rule or 'nothing that is here'}"
    who = authentication.address(request.environ, services().config) or "somebody"
    if known := g.get("caller"):
        who = f"user {known.user_id} at {who}"
    services().accounts.noticed.note(response.status_code, what, who)
    return response


def _cross_origin(response: Response) -> Response:
    """Set the CORS headers: any origin may read the client's modules, and one of `RKV_ORIGINS` may read the API.

    Credentials are never allowed: a page of another origin sends a bearer token.
    """
    headers = response.headers
    if request.path == "/rkv.js" or request.path.startswith("/static/js/"):
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    elif is_api():
        headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin in services().config.origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                headers["Access-Control-Allow-Methods"] = "GET, POST"
                headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Last-Event-ID"
                headers["Access-Control-Max-Age"] = "600"
    return response
