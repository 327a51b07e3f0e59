"""The addresses of this machine's network interfaces, from getifaddrs(3)."""

import ctypes
import ctypes.util
import ipaddress
import socket
import sys

from realtime_kv.config import WILDCARDS, Config
from realtime_kv.origins import format_origin

MAX_ADDRESSES = 16


class _Entry(ctypes.Structure):
    """The beginning of `struct ifaddrs`, which is the same on Linux, macOS and the BSDs."""


_Entry._fields_ = [
    ("next", ctypes.POINTER(_Entry)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def other_addresses(config: Config) -> list[str]:
    """Return a line for each further URL at which users can open the server."""
    if config.public_url:
        return [f"Open it at {config.public_url}"]
    if config.host not in WILDCARDS:
        return []
    reached = [address for address in addresses() if config.host == "::" or ":" not in address]
    return [f"Also on {format_origin('http', address, config.port)}" for address in reached]


def addresses() -> list[str]:
    """Return the addresses that other machines can use, IPv4 first; none if they cannot be read.

    Loopback is left out, and so are link-local IPv6 addresses: browsers cannot open these.
    """
    libc = ctypes.CDLL(None)
    first = ctypes.POINTER(_Entry)()
    if not hasattr(libc, "getifaddrs") or libc.getifaddrs(ctypes.byref(first)) != 0:
        return []
    found: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
    try:
        entry = first
        while entry:
            if (address := _read(entry.contents.address)) is not None:
                found.add(address)
            entry = entry.contents.next
    finally:
        libc.freeifaddrs(first)
    usable = [address for address in found if not (address.is_loopback or address.is_link_local)]
    return [str(address) for address in sorted(usable, key=lambda a: (a.version, int(a)))][:MAX_ADDRESSES]


def _read(sockaddr: int | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in a `struct sockaddr`; None for another family."""
    if not sockaddr:
        return None
    # the BSDs put the length before the family, in one byte each
    head = ctypes.string_at(sockaddr, 2)
    family = int.from_bytes(head, sys.byteorder) if sys.platform == "linux" else head[1]
    if family == socket.AF_INET:
        return ipaddress.IPv4Address(ctypes.string_at(sockaddr + 4, 4))
    if family == socket.AF_INET6:
        return ipaddress.IPv6Address(ctypes.string_at(sockaddr + 8, 16))
    return None
