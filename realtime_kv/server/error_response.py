"""Error responses to requests that never reach the app, in the app's format (protocol §5)."""

from http import HTTPStatus

import msgspec

from realtime_kv.errors import Refusal


def encode(status: HTTPStatus, refusal: Refusal, origin: str | None) -> bytes:
    """Return a whole HTTP response, which pages of `origin` may read as well."""
    problem = {
        "type": f"urn:rkv:error:{refusal.code}",
        "title": status.phrase,
        "status": status.value,
        "detail": refusal.message,
        "code": refusal.code,
        **refusal.extra,
    }
    body = msgspec.json.encode(problem)
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/problem+json",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
    ]
    if origin is not None:
        head += [
            f"Access-Control-Allow-Origin: {origin}",
            "Access-Control-Expose-Headers: Retry-After",
            "Vary: Origin",
        ]
    if "retry_after" in refusal.extra:
        head.append(f"Retry-After: {refusal.extra['retry_after']}")
    return "\r\n".join([*head, "", ""]).encode() + body
