"""Request credentials: the token, address and program of an unauthenticated request (protocol §4).

HTTP and Socket.IO both use it, with only a WSGI environ and, for a socket, the `auth` of its CONNECT.
"""

from collections.abc import Mapping
from typing import Any, Literal

from realtime_kv.config import Config
from realtime_kv.request import user_agents
from realtime_kv.request.addresses import normalize
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.request.cookies import session_token

# In a WSGI environ, once credentials were checked: the credential found (a token, or the id of a Socket.IO session that
# has joined) and the id of its user, or NOBODY. Absent for a static file, for instance.
RECOGNISED = "realtime_kv.recognised"
Recognised = tuple[str, int | None]
NOBODY: Recognised = ("", None)
# In a WSGI environ: tells whether the client has closed the connection, so that nothing waits for the answer.
HUNG_UP = "realtime_kv.hung_up"
# In a WSGI environ: the request was refused because its caller exceeded a rate limit.
TOO_MUCH = "realtime_kv.too_much"
# In a WSGI environ: the request changes an account, for which the writer makes a transaction.
ACCOUNT_CHANGE = "realtime_kv.account_change"

Kind = Literal["bearer", "cookie"] | None


def credentials(environ: Mapping[str, Any], config: Config, auth: object = None) -> tuple[str, Kind]:
    """Return the token and how it was sent. A bearer token takes precedence over a cookie, even if it is invalid.

    Tokens in URLs are ignored: URLs end up in logs, histories and `Referer`.
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


def visit(environ: Mapping[str, Any], config: Config) -> ClientInfo:
    """Return the client's program and address as sessions and the audit log keep them, such as "Firefox on Linux"."""
    return ClientInfo(user_agents.label(str(environ.get("HTTP_USER_AGENT", ""))), address(environ, config))
