"""HTTP client of the checked server: its address, HTTP requests, and sockets to it."""

import http.client
import json
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

# longer than the server holds a poll
TIMEOUT_SECONDS = 30.0


class CheckError(Exception):
    """The check is not possible; the message says what to do."""


class Refused(CheckError):
    """The server refused the request; `code` is the protocol's."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class HttpClient:
    """The server at `http[s]://host[:port]`. Raises Trouble for any other address."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in {"http", "https"} or not host:
            raise CheckError(
                f"{url!r} is not an address; one looks like http://127.0.0.1:5000 or https://kv.example.org."
            )
        self.secure = parts.scheme == "https"
        self.host = host
        self.port = port or (443 if self.secure else 80)
        self.netloc = parts.netloc.rpartition("@")[2]
        self.url = f"{parts.scheme}://{self.netloc}"
        self._tls = ssl.create_default_context() if self.secure else None

    def http(self) -> http.client.HTTPConnection:
        """Return a connection for requests, opened by the first one."""
        if self._tls is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_SECONDS, context=self._tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)

    def connect(self) -> socket.socket:
        """Open a TCP connection, with TLS if the address says so."""
        sock = socket.create_connection((self.host, self.port), timeout=TIMEOUT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self.host)

    def post(self, call: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        """Call an account method or a verb; return its answer. Raises Refused, and Trouble if nothing answers."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection = self.http()
        try:
            connection.request("POST", f"/api/v1/{call}", json.dumps(body), headers)
            response = connection.getresponse()
            status, location, text = response.status, response.headers["Location"], response.read()
        except ssl.SSLError as error:
            raise CheckError(f"{self.url} has no certificate that can be trusted: {error.reason or error}.") from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CheckError(
                f"No server answers at {self.url} ({why}). Start it with: python3 run.py\n"
                "If it runs somewhere else, say where: python3 run.py doctor http://host:port"
            ) from None
        finally:
            connection.close()
        if location:
            raise CheckError(f"{self.url} sends visitors on to {location}: give that address instead.")
        return self._read(status, text)

    def _read(self, status: int, text: bytes) -> dict[str, Any]:
        if status == 204:
            return {}
        try:
            answer = json.loads(text)
            if status < 300 and answer["ok"] is True:
                return dict(answer)
            code, detail, wait = answer["code"], answer["detail"], answer.get("retry_after")
        except (ValueError, TypeError, KeyError):
            raise CheckError(
                f"What answers at {self.url} is not this product: it said {status} to an API call."
            ) from None
        if code == "rate_limited" and wait:
            detail = f"{detail.rstrip('.')} (in {wait} s)."
        raise Refused(code, f"{self.url} refuses ({code}): {detail}")
