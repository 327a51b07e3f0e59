"""Cookie names and the cookies of a request.

A browser keeps the cookies of all servers on one host in one jar, whatever their ports (RFC 6265, section 8.5). So that
two servers do not sign each other's users out, the port is part of a cookie's name, unless it is the scheme's own.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from realtime_kv.config import Config
from realtime_kv.origins import DEFAULT_PORTS, read_host

SESSION = "rkv_session"
FORM = "rkv_form"


def cookie_name(environ: Mapping[str, Any], config: Config, base: str = SESSION) -> str:
    """The name of a cookie at the address that the browser uses.

    Without a public URL that is the address in `Host`: the port may be published as another one than is listened on.
    """
    if config.public_url:
        port = urlsplit(config.public_url).port
    else:
        port = read_host(environ.get("HTTP_HOST", ""))[1]
    name = unported_name(config, base)
    return name if port in (None, DEFAULT_PORTS["https" if config.secure else "http"]) else f"{name}_{port}"


def unported_name(config: Config, base: str = SESSION) -> str:
    """The name without a port, which earlier versions used at every port.

    Under TLS a browser takes it from this very host only (`__Host-`, RFC 6265bis): no other host of the same domain can
    set it, so nobody can make us take their session for the visitor's.
    """
    return f"__Host-{base}" if config.secure else base


def read(environ: Mapping[str, Any], name: str) -> str | None:
    """The first cookie of this name that came; None if there is none or it is empty."""
    for pair in str(environ.get("HTTP_COOKIE", "")).split(";"):
        found, equals, value = pair.strip().partition("=")
        if equals and found == name:
            return value.strip().strip('"') or None
    return None


def session_token(environ: Mapping[str, Any], config: Config) -> str | None:
    """The token in the session cookie that came; an unported cookie counts where there is no other.

    An unported cookie may belong to another server on this host. Its token is then unknown here and opens nothing.
    """
    return read(environ, cookie_name(environ, config)) or read(environ, unported_name(config))
