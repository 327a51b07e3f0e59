"""Origins and host names in canonical form: as a browser sends them in `Origin` and `Host` (WHATWG URL Standard).

Settings are converted when they are read, so that a request is compared with one spelling only: lower case, punycode
for international names, no trailing dot, no default port, IPv6 compressed and in brackets.
"""

import ipaddress
import re
import unicodedata
from functools import lru_cache

DEFAULT_PORTS = {"http": 80, "https": 443}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_HOST = 253

_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#@\\\s]+)")
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
# schemes whose pages have no origin of their own, or that are not the scheme of a page
_NEVER_ORIGINS = {"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"}
# deleted by UTS #46: soft hyphen, zero-width space and word joiner, variation selectors, byte order mark
_IGNORED = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10)])


def canonical_host(text: str) -> str:
    """Return the name or address as a browser writes it in a URL; an IPv6 address without its brackets.

    Raises ValueError; its message describes a valid host.
    """
    if text.count(":") == 1:
        raise ValueError("must be a host name or an IP address, without a port")
    if ":" in text or text.startswith("["):
        return _ipv6(text.removeprefix("[").removesuffix("]"))
    name = _to_ascii(text).removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("must be a host name or an IP address")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        # browsers parse a host that ends in a number as an IPv4 address, including spellings such as 0x7f.1
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError("must be a host name or an IP address such as 192.168.1.7") from None
    return name


def canonical_origin(text: str, *, any_scheme: bool = False) -> str:
    """Return `scheme://host[:port]` as a browser writes it in `Origin`; `any_scheme` also allows an app or extension.

    Raises ValueError; its message describes a valid origin.
    """
    text = text.strip()
    if text == "null":
        raise ValueError(
            "cannot be allowed: every sandboxed frame and every local file has the origin null. "
            "Serve the page from a web server, or give the app a scheme of its own"
        )
    if text == "*":
        raise ValueError("cannot be allowed: there is no wildcard, list each origin")
    example = "https://app.example.org or capacitor://localhost" if any_scheme else "https://kv.example.org"
    problem = ValueError(f"must be an origin such as {example}, without a path")
    match = _ORIGIN.fullmatch(text.removesuffix("/"))
    if match is None or match[1].lower() in _NEVER_ORIGINS:
        raise problem
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS and not any_scheme:
        raise problem
    try:
        host, port = split_port(match[2])
        return format_origin(scheme, canonical_host(host), port)
    except ValueError:
        raise problem from None


def split_port(text: str) -> tuple[str, int | None]:
    """Return the host and the port of `host[:port]`. Raises ValueError."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or not match[1]:
        raise ValueError("must be a host, or a host and a port")
    port = int(match[2]) if match[2] else None
    if port is not None and port > 65535:
        raise ValueError("must have a port of at most 65535")
    return match[1], port


def format_origin(scheme: str, host: str, port: int | None) -> str:
    """Return the origin of a canonical host, without the scheme's default port."""
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" if port in (None, DEFAULT_PORTS.get(scheme)) else f"{scheme}://{shown}:{port}"


@lru_cache(maxsize=1024)
def read_host(header: str) -> tuple[str, int | None]:
    """Return the canonical host and the port that a `Host` header names; ("", None) if it names none."""
    try:
        host, port = split_port(header) if len(header) <= MAX_HOST + 10 else ("", None)
        return (canonical_host(host), port) if host.isascii() else ("", None)
    except ValueError:
        return "", None


@lru_cache(maxsize=1024)
def read_origin(header: str) -> str:
    """Return the canonical form of an `Origin` header; "" for "null" and for a value that no browser sends."""
    if len(header) > MAX_HOST + 100 or not header.isascii() or header.endswith("/"):
        return ""
    try:
        return canonical_origin(header, any_scheme=True)
    except ValueError:
        return ""


def is_address(host: str) -> bool:
    """Return True if a canonical host is an IP address, which no DNS server can point elsewhere."""
    return ":" in host or host.replace(".", "").isdecimal()


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("must be an IPv6 address such as [::1]") from None
    if address.scope_id is not None:
        raise ValueError("must be an IPv6 address without a zone, as in a browser's address bar")
    if address.ipv4_mapped is None:
        return address.compressed
    # newer Pythons write the last 32 bits as IPv4, browsers never do
    high, low = divmod(int(address.ipv4_mapped), 1 << 16)
    return f"::ffff:{high:x}:{low:x}"


def _to_ascii(name: str) -> str:
    """Return the name with international labels in punycode, mapped as in UTS #46 (non-transitional).

    The standard library's codec follows IDNA 2003, which maps ß and final sigma to other letters than browsers do.
    """
    if name.isascii():
        return name.lower()
    # letter by letter: str.lower() of a whole word makes a capital sigma at its end a final one
    mapped = "".join(map(str.lower, unicodedata.normalize("NFKC", name.translate(_IGNORED))))
    labels = unicodedata.normalize("NFKC", mapped).replace("\u3002", ".").split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
