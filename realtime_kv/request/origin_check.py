"""Origin and host checks: which pages may use a cookie or a bearer token, and which host names are accepted.

Invariants:
1. A cookie counts for pages of this server only. A page is one of this server's if its origin is `RKV_PUBLIC_URL`, or,
   without that setting, if its origin is the very address in the request's `Host` header.
2. `Host` is trusted only where DNS cannot point the name elsewhere (DNS rebinding): for an IP address, `localhost`,
   this machine's own names and those in `RKV_HOSTS`.
3. A refusal names the refused value and the setting that would allow it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from realtime_kv.config import Config
from realtime_kv.errors import Forbidden, HostRefused, OriginRefused
from realtime_kv.origins import LOOPBACK, format_origin, is_address, read_host, read_origin
from realtime_kv.request.authentication import Kind

MAX_SHOWN = 200
# a proxy sets one of these, or passes them on from the proxy before it
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED", "HTTP_VIA")


def check_origin(environ: Mapping[str, Any], config: Config, kind: Kind) -> None:
    """Raise Forbidden unless the page that sends this request may use credentials of that kind.

    A browser attaches a cookie to any page's request, so it counts for the server's own pages only. A bearer token is
    known to its sender; a page that sends one must be on the server's own origin or on one of those in `RKV_ORIGINS`.
    """
    if "HTTP_ORIGIN" in environ:
        if not (is_own_origin(environ, config) or (kind != "cookie" and _is_listed(environ, config))):
            raise refusal(environ, config)
    # a browser sends no Origin with a same-origin GET, and no Sec-Fetch-Site over plain HTTP to another machine
    elif environ.get("HTTP_SEC_FETCH_SITE", "none") not in {"same-origin", "none"}:
        raise Forbidden(
            "A page of another site sent this request. It needs a bearer token, and RKV_ORIGINS has to list its origin."
        )


def allows(environ: Mapping[str, Any], config: Config) -> bool:
    """Return whether a page of the request's `Origin` may open a socket at all, or read an answer of one."""
    return is_own_origin(environ, config) or _is_listed(environ, config)


def is_own_origin(environ: Mapping[str, Any], config: Config) -> bool:
    """Return whether the request's `Origin` is that of a page of this server."""
    origin = read_origin(environ.get("HTTP_ORIGIN", ""))
    if config.public_url and origin == config.public_url:
        return True
    host, port = read_host(environ.get("HTTP_HOST", ""))
    if not host or origin != format_origin("http", host, port):
        return False
    if not config.public_url:
        return _is_own_host(host, config)
    # A browser on this machine may use a loopback address although the public URL is another one, in the local network.
    # Behind a proxy `Host` may be the address that the proxy connects to, and says nothing about the page.
    direct = not (config.proxies or any(name in environ for name in _FORWARDED))
    return host in LOOPBACK and direct and not config.secure


def check_host(environ: Mapping[str, Any], config: Config) -> None:
    """Raise HostRefused for a request that calls this server by a name that is not its own.

    For a browser, a page whose name is made to point here (DNS rebinding) would be of the same origin.
    """
    sent = str(environ.get("HTTP_HOST", ""))
    host, _ = read_host(sent)
    if not _is_own_host(host, config):
        name = _shown(host or sent)
        instead = f"at {config.public_url}" if config.public_url else "by an IP address of its machine"
        raise HostRefused(
            f"{name or '(nothing)'} is not a name of this server. Open it {instead}, or add the name to RKV_HOSTS.",
            host=name,
            setting="RKV_HOSTS",
        )


def refusal(environ: Mapping[str, Any], config: Config) -> OriginRefused:
    """Return the error for a page of the request's `Origin`: why it is refused, and which setting would allow it."""
    sent = str(environ.get("HTTP_ORIGIN", ""))
    shown = _shown(sent)
    if not (origin := read_origin(sent)):
        return OriginRefused(
            f"The origin {shown or '(empty)'} cannot be allowed: sandboxed frames and local files have no "
            "usable origin. "
            "Serve the page from a web server, and list its origin in RKV_ORIGINS.",
            origin=shown,
            setting=None,
        )
    listing = f"a page there needs a bearer token, and the setting RKV_ORIGINS has to list {origin}."
    if config.public_url:
        if urlsplit(origin).hostname == read_host(environ.get("HTTP_HOST", ""))[0]:
            sentence = f"Open this server at {config.public_url}, not at {origin}: RKV_PUBLIC_URL names that address."
            return OriginRefused(sentence, origin=shown, setting="RKV_PUBLIC_URL")
        return OriginRefused(f"{origin} is not this server's origin: {listing}", origin=shown, setting="RKV_ORIGINS")
    if not origin.startswith(("http://", "https://")):
        return OriginRefused(f"{origin} is not this server's origin: {listing}", origin=shown, setting="RKV_ORIGINS")
    sentence = f"{origin} is not an address of this server. If people open it there, set RKV_PUBLIC_URL={origin}"
    return OriginRefused(f"{sentence}; otherwise {listing}", origin=shown, setting="RKV_PUBLIC_URL")


def _is_own_host(host: str, config: Config) -> bool:
    return host in config.own_hosts or (not config.public_url and is_address(host))


def _is_listed(environ: Mapping[str, Any], config: Config) -> bool:
    return read_origin(environ.get("HTTP_ORIGIN", "")) in config.origins


def _shown(text: str) -> str:
    """Return client input escaped and cut, for a message or the log."""
    return text[:MAX_SHOWN].encode("unicode_escape").decode()
