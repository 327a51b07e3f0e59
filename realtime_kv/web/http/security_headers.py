"""Security headers of every answer: pages, files, the API, the polls of a socket.

They are added around the whole app, since the polls of a socket never reach Flask. An answer that sets one of them
keeps its own. There is no `Cross-Origin-Embedder-Policy`: no page needs the features that it would unlock. A page loads
dozens of scripts, sheets and fonts: they omit the headers that only a document obeys, which were longer than most.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from realtime_kv.config import Config

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
_UNUSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "microphone",
    "midi",
    "payment",
    "usb",
)
OF_DOCUMENTS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", ", ".join(f"{feature}=()" for feature in _UNUSED)),
)
ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
# a year, subdomains included (OWASP ASVS 5.0, 3.4.1)
UNDER_TLS = (("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),)


def policy_with(inline: str) -> str:
    """Return the policy of a page with this one inline script (an import map), allowed by its hash."""
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    return CONTENT_SECURITY_POLICY.replace("script-src 'self'", f"script-src 'self' 'sha256-{digest}'")


# Under `/static/`, these are never a document or a worker; an SVG can be one.
_PARTS = re.compile(r"/static/.*\.(js|css|woff2)")

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def everywhere(answer: Wsgi, config: Config) -> Wsgi:
    """Return `answer` as a WSGI app that adds the headers that `answer` does not set itself."""
    of_parts = ALWAYS + UNDER_TLS if config.secure else ALWAYS
    of_documents = of_parts + OF_DOCUMENTS

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        part = _PARTS.fullmatch(environ.get("PATH_INFO", ""))

        def start(status: str, headers: list[tuple[str, str]], *failed: Any) -> Any:
            # a missing file is answered with a page
            ours = of_parts if part and status[0] in "23" else of_documents
            brought = {name.lower() for name, _ in headers}
            missing = [header for header in ours if header[0].lower() not in brought]
            return start_response(status, [*headers, *missing], *failed)

        return answer(environ, start)

    return wsgi
