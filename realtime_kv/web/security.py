"""Who is calling, from which origin, and who may read and keep the answer.

Credentials are read by `accounts.door` and origins checked by `accounts.origin_check`, the same for sockets. Against a
page of another site that has the browser send something: the cookie is SameSite=Lax, so no other site's POST carries
it; its `Origin` (or its `Sec-Fetch-Site`), which no page can forge, has to be ours; a form holds a token (csrf.py), and
a JSON call has a content type that no form sends.
"""

from flask import Flask, Response, g, request

from realtime_kv.accounts import door, origin_check
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import Unauthenticated
from realtime_kv.core.runtime import Future
from realtime_kv.web import bodies, csrf, sessions
from realtime_kv.web.house import house


def register(app: Flask) -> None:
    """Look at every request to `app`, and say on every answer whose it is."""
    app.before_request(_check_host)
    app.before_request(sessions.settle)
    csrf.register(app)
    app.after_request(_not_kept)
    app.after_request(_notice)
    app.after_request(_cross_origin)


def caller() -> Caller:
    """Who calls this verb. Raises Unauthenticated or Forbidden."""
    token, kind = door.credentials(request.environ, house().config)
    if kind is None:
        raise Unauthenticated()
    check_origin(kind)
    return sessions.look_up(token, kind)


def check_origin(kind: door.Kind) -> None:
    """Raises Forbidden unless the page that sends this request may use credentials of that kind."""
    origin_check.check_origin(request.environ, house().config, kind)


def form() -> dict[str, str]:
    """The fields of a form of ours. Raises Forbidden, BadRequest, TooLarge."""
    check_origin("cookie")
    return csrf.check(form_fields())


def form_fields() -> dict[str, str]:
    """The fields of a form, whoever sends them: the body is read once for each request. Raises BadRequest, TooLarge."""
    if "form_fields" not in g:
        g.form_fields = Future.called(bodies.form)
    return dict(g.form_fields.result())


def is_api() -> bool:
    """Whether a program asks, so that every answer is JSON."""
    return request.path.startswith("/api/")


def _check_host() -> None:
    """Raises HostRefused for a name that is not this server's. Probes ask by whatever address they have."""
    if request.path not in {"/healthz", "/readyz", "/metrics"}:
        origin_check.check_host(request.environ, house().config)


def _not_kept(response: Response) -> Response:
    # static files bring their own: revalidated by their ETag
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _notice(response: Response) -> Response:
    """Let it be written down if it could be an attempt at something."""
    # the rule and not the path, which may hold a one-time secret
    what = f"{request.method} {request.url_rule or 'nothing that is here'}"
    who = door.address(request.environ, house().config) or "somebody"
    if known := g.get("caller"):
        who = f"user {known.user_id} at {who}"
    house().accounts.noticed.note(response.status_code, what, who)
    return response


def _cross_origin(response: Response) -> Response:
    """What a page on another origin may read: our client's modules, and the API if it is one of `RKV_ORIGINS`.

    Never with credentials: such a page brings a bearer token.
    """
    headers = response.headers
    if request.path == "/rkv.js" or request.path.startswith("/static/js/"):
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    elif is_api():
        headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin in house().config.origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                headers["Access-Control-Allow-Methods"] = "GET, POST"
                headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Last-Event-ID"
                headers["Access-Control-Max-Age"] = "600"
    return response
