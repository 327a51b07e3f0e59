"""At the door, before anybody is let in: which credentials came, from which address and program (protocol §4).

Both doors ask here, with nothing but a WSGI environ and, for a socket, the `auth` of its CONNECT.
"""

from collections.abc import Mapping
from typing import Any, Literal

from realtime_kv.accounts import agents
from realtime_kv.accounts.addresses import normalize
from realtime_kv.accounts.cookies import session_token
from realtime_kv.accounts.visit import Visit
from realtime_kv.config import Config

# In a WSGI environ, once somebody looked: the credential that was found, a token or the id of a Socket.IO session that
# has joined, and whose it is, by the user's id; or NOBODY. It is not there for a static file, for instance.
RECOGNISED = "realtime_kv.recognised"
Recognised = tuple[str, int | None]
NOBODY: Recognised = ("", None)
# In a WSGI environ: tells whether the client has closed the connection, so that nobody waits for the answer.
HUNG_UP = "realtime_kv.hung_up"
# In a WSGI environ: the request was refused because its caller had asked for too much.
TOO_MUCH = "realtime_kv.too_much"

Kind = Literal["bearer", "cookie"] | None


def credentials(environ: Mapping[str, Any], config: Config, auth: object = None) -> tuple[str, Kind]:
    """The token that came, and how: of a cookie and a bearer token the token counts, good or bad.

    A token in a URL is not looked at: URLs end up in logs, histories and `Referer`.
    """
    if isinstance(auth, Mapping) and auth.get("token") is not None:
        token = auth["token"]
        return (token if isinstance(token, str) else ""), "bearer"
    scheme, _, rest = str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip(), "bearer"
    token = session_token(environ, config)
    return (token, "cookie") if token else ("", None)


def address(environ: Mapping[str, Any], config: Config) -> str:
    """Return the client's address, normalized.

    A forwarding header counts only for as many proxies as are configured, and only if it holds an address there:
    the address is stored, shown and logged. Otherwise it is the address of the TCP connection.
    """
    if config.proxies:
        forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        if len(forwarded) >= config.proxies and (found := normalize(forwarded[-config.proxies])) is not None:
            return found
    peer = str(environ.get("REMOTE_ADDR") or "")
    return normalize(peer) or peer


def visit(environ: Mapping[str, Any], config: Config) -> Visit:
    """Where this comes from, as sessions and the audit log keep it: "Firefox on Linux", and the address."""
    return Visit(agents.label(str(environ.get("HTTP_USER_AGENT", ""))), address(environ, config))
