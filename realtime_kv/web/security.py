"""Who is calling, from which origin, and the headers that every answer carries.

Credentials and origins are judged by `accounts.door`, the same for sockets. There are no CSRF tokens: the cookie is
SameSite=Lax, so no other site's POST carries it; a form or a call that another page makes all the same is refused by
its `Origin` (or its `Sec-Fetch-Site`), which no page can forge; and JSON calls need a content type that no form sends.
"""

from flask import Flask, Response, request

from realtime_kv.accounts import door
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import Unauthenticated
from realtime_kv.web.house import house, wait

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types lit-html rkv",
    )
)


def register(app: Flask) -> None:
    """Put the headers on every answer of `app`."""
    app.after_request(_headers)
    app.after_request(_cross_origin)


def caller() -> Caller:
    """Who calls this verb. Raises Unauthenticated or Forbidden."""
    token, kind = door.credentials(request.environ)
    if kind is None:
        raise Unauthenticated()
    check_origin(kind)
    address = door.address(request.environ, house().config)
    return wait(house().accounts.caller(token, "http", address))


def check_origin(kind: door.Kind) -> None:
    """Raises Forbidden unless the page that sends this request may use credentials of that kind."""
    door.check_origin(request.environ, house().config, kind)


def is_api() -> bool:
    """Whether a program asks, so that every answer is JSON."""
    return request.path.startswith("/api/")


def _headers(response: Response) -> Response:
    headers = response.headers
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    # static files bring their own: revalidated by their ETag
    headers.setdefault("Cache-Control", "no-store")
    if house().config.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def _cross_origin(response: Response) -> Response:
    """What a page on another origin may read: our client's modules, and the API if it is one of `RKV_ORIGINS`.

    Never with credentials: such a page brings a bearer token.
    """
    headers = response.headers
    if request.path == "/rkv.js" or request.path.startswith("/static/js/"):
        headers["Access-Control-Allow-Origin"] = "*"
    elif is_api():
        headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin in house().config.origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                headers["Access-Control-Allow-Methods"] = "GET, POST"
                headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                headers["Access-Control-Max-Age"] = "600"
    return response
