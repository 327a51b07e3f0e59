"""Errors of the client. Each message is a sentence for the person who runs the program."""


class ClientError(Exception):
    """Base class of all errors of this package."""


class InvalidAddress(ClientError):
    """The address of the server is no `http` or `https` URL."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url!r} is not an address; one looks like http://127.0.0.1:5000 or https://kv.example.org.")


class Unreachable(ClientError):
    """No server answers at the address."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"No server answers at {url} ({reason}).")


class UntrustedCertificate(ClientError):
    """The TLS certificate of the server cannot be verified."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} has no certificate that can be trusted: {reason}.")


class Redirected(ClientError):
    """The server redirects API calls to another address; they are not followed, because they carry a credential."""

    def __init__(self, url: str, location: str) -> None:
        super().__init__(f"{url} redirects to {location}: use that address instead.")


class UnexpectedAnswer(ClientError):
    """The answer is not one of this protocol, so another program answers at the address."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"No realtime_kv server answers at {url}: an API call was answered with status {status}.")


class Refused(ClientError):
    """The server refused a request or a connection; `code` is the protocol's error code."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ConnectionLost(ClientError):
    """The connection is lost, or could not be opened; packets in transit may have arrived or not."""
