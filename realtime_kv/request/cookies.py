"""Cookie names and the cookies of a request.

A browser keeps the cookies of all servers on one host in one jar, whatever their ports (RFC 6265, section 8.5). The
port is part of a cookie's name unless it is the scheme's default, so that two servers do not sign each other's users
out.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from realtime_kv.config import Config
from realtime_kv.origins import DEFAULT_PORTS, read_host

SESSION = "rkv_session"
FORM = "rkv_form"


def cookie_name(environ: Mapping[str, Any], config: Config, base: str = SESSION) -> str:
    """Return the name of a cookie at the address that the browser uses.

    Without a public URL that is the address in `Host`: the published port may differ from the listening port.
    """
    if config.public_url:
        port = urlsplit(config.public_url).port
    else:
        port = read_host(environ.get("HTTP_HOST", ""))[1]
    name = unported_name(config, base)
    return name if port in (None, DEFAULT_PORTS["https" if config.secure else "http"]) else f"{name}_{port}"


def unported_name(config: Config, base: str = SESSION) -> str:
    """Return the name without a port, which earlier versions used at every port.

    Under TLS a browser takes it from this very host only (`__Host-`, RFC 6265bis): no other host of the same domain can
    set it, so no other host can plant its own session in a visitor's browser.
    """
    return f"__Host-{base}" if config.secure else base


def read(environ: Mapping[str, Any], name: str) -> str | None:
    """Return the first cookie of this name in the request; None if there is none or it is empty."""
    for pair in str(environ.get("HTTP_COOKIE", "")).split(";"):
        found, equals, value = pair.strip().partition("=")
        if equals and found == name:
            return value.strip().strip('"') or None
    return None


def session_token(environ: Mapping[str, Any], config: Config) -> str | None:
    """Return the token of the session cookie; an unported cookie counts if there is no other.

    An unported cookie may belong to another server on this host. Its token is then unknown here and gives no access.
    """
    return read(environ, cookie_name(environ, config)) or read(environ, unported_name(config))
