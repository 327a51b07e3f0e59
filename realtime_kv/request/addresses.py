"""Network addresses: one spelling for each, and the network that limits count by.

Invariants:
1. Every address that is stored, shown, logged or counted has been through `normalize`.
2. Limits count by `network_of`: an IPv4 address, or the /64 that an IPv6 client has for itself.
"""

import ipaddress
import re
from functools import lru_cache

# Some proxies write an address with its port into X-Forwarded-For (RFC 7239 §6 has the same forms).
_IPV4_WITH_PORT = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}", re.ASCII)
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.%\w-]+)\](?::\d{1,5})?", re.ASCII)
# longest form: an IPv6 address with a mapped IPv4 part, a zone, brackets and a port
_MAX_CHARACTERS = 100


def normalize(text: str) -> str | None:
    """Return the address in its canonical spelling, or None if `text` is not an address.

    A port, brackets and a zone (`%eth0`) are removed; an IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) becomes
    IPv4.
    """
    # checked here, so that the cache holds no long texts
    return _parse(text) if len(text) <= _MAX_CHARACTERS else None


def network_of(address: str) -> str:
    """Return the network by which limits count `address`: the address itself, or the /64 of an IPv6 address.

    Any other text counts as itself, cut to 64 characters.
    """
    return _network(address[:_MAX_CHARACTERS])


@lru_cache(maxsize=4096)
def _parse(text: str) -> str | None:
    text = text.strip()
    if found := _IPV4_WITH_PORT.fullmatch(text) or _BRACKETED.fullmatch(text):
        text = found[1]
    try:
        # a zone may be any text, and means nothing outside the machine that wrote it
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    normalized = normalize(address)
    if normalized is None:
        return address[:64]
    if ":" not in normalized:
        return normalized
    return str(ipaddress.ip_network((int(ipaddress.IPv6Address(normalized)), 64), strict=False))
