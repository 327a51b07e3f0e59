"""Python client of a realtime_kv server, independent of the server's code.

The protocol is separate from the sockets, so that clients for threads and for asyncio can share it:

- `engineio`, `socketio`, `replica`: the protocol, without I/O and without a clock.
- `http`, `transports`, `connection`: blocking HTTP requests and connections.
- `errors`: every error that the package raises, as subclasses of `ClientError`.
"""

from realtime_kv_client.connection import Connection
from realtime_kv_client.errors import (
    ClientError,
    ConnectionLost,
    InvalidAddress,
    Redirected,
    Refused,
    UnexpectedAnswer,
    Unreachable,
    UntrustedCertificate,
)
from realtime_kv_client.http import HttpClient
from realtime_kv_client.replica import Replica

__all__ = [
    "ClientError",
    "Connection",
    "ConnectionLost",
    "HttpClient",
    "InvalidAddress",
    "Redirected",
    "Refused",
    "Replica",
    "UnexpectedAnswer",
    "Unreachable",
    "UntrustedCertificate",
]
