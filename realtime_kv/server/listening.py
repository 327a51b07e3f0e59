"""The listening socket."""

import socket

from realtime_kv.server.data_lock import StartupError

BACKLOG = 4096


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises StartupError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            # accept IPv4 as well, whatever the system's default
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        raise StartupError(
            f"Cannot listen on {host}, port {port}: {error.strerror}. "
            "Stop what uses it, or choose another with --host and --port (RKV_HOST, RKV_PORT)."
        ) from None
    return sock
