"""HTTP client of a server: its address, API calls, and sockets to it."""

import http.client
import json
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

from realtime_kv_client.errors import (
    InvalidAddress,
    Redirected,
    Refused,
    UnexpectedAnswer,
    Unreachable,
    UntrustedCertificate,
)

# longer than the server holds a poll
TIMEOUT_SECONDS = 30.0


class HttpClient:
    """The server at `http[s]://host[:port]`. Raises InvalidAddress for any other address.

    `timeout` limits each wait for the server, in seconds.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise InvalidAddress(url) from None
        if parts.scheme not in {"http", "https"} or not host:
            raise InvalidAddress(url)
        self.secure = parts.scheme == "https"
        self.host = host
        self.port = port or (443 if self.secure else 80)
        self.netloc = parts.netloc.rpartition("@")[2]
        self.url = f"{parts.scheme}://{self.netloc}"
        self._timeout = timeout
        self._tls = ssl.create_default_context() if self.secure else None

    def http_connection(self) -> http.client.HTTPConnection:
        """Return a connection for requests, opened by the first one."""
        if self._tls is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=self._timeout)

    def open_socket(self) -> socket.socket:
        """Open a TCP connection, with TLS if the address says so. Raises OSError."""
        sock = socket.create_connection((self.host, self.port), timeout=self._timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self.host)

    def post(self, call: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        """Call a verb or an account method of the API; return its answer.

        Raises Refused, and Unreachable, UntrustedCertificate, Redirected or UnexpectedAnswer if no such server answers.
        """
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection = self.http_connection()
        try:
            connection.request("POST", f"/api/v1/{call}", json.dumps(body), headers)
            response = connection.getresponse()
            status, location, text = response.status, response.headers["Location"], response.read()
        except ssl.SSLError as error:
            raise UntrustedCertificate(self.url, error.reason or str(error)) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unreachable(self.url, reason) from None
        finally:
            connection.close()
        if location:
            raise Redirected(self.url, location)
        return read_answer(self.url, status, text)


def read_answer(url: str, status: int, body: bytes) -> dict[str, Any]:
    """Return the answer to an API call. Raises Refused, UnexpectedAnswer."""
    if status == 204:
        return {}
    try:
        answer = json.loads(body)
        if status < 300 and answer["ok"] is True:
            return dict(answer)
        code, detail, wait = answer["code"], answer["detail"], answer.get("retry_after")
    except (ValueError, TypeError, KeyError):
        raise UnexpectedAnswer(url, status) from None
    if code == "rate_limited" and wait:
        detail = f"{detail.rstrip('.')} (in {wait} s)."
    raise Refused(code, f"{url} refuses ({code}): {detail}")
