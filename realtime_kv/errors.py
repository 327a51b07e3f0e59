"""API errors: every refusal, as one tree with a code, an HTTP status and a sentence for the caller (protocol §5).

The same refusal becomes a failed acknowledgement on a socket and a problem body over HTTP. Any exception outside this
tree is a bug: it is logged and answered `internal`.
"""

from typing import Any, ClassVar


class Refusal(Exception):
    """A request that is not executed, and the reason; `extra` holds the data that the caller needs to continue."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return the error as a socket client sees it: `{code, message, …}`."""
        return {"code": self.code, "message": self.message, **self.extra}


class BadRequest(Refusal):
    """Not JSON, or a missing, unknown, wrongly typed or out-of-range field."""

    code, status, title = "bad_request", 400, "Bad request"


class Unauthenticated(Refusal):
    """Signed out, or the session has ended."""

    code, status, title = "unauthenticated", 401, "Not signed in"

    def __init__(self, message: str = "Sign in first.") -> None:
        super().__init__(message)


class InvalidCredentials(Refusal):
    """The same answer for a wrong password and for an unknown name."""

    code, status, title = "invalid_credentials", 401, "Wrong username or password"

    def __init__(self, message: str = "Wrong username or password.") -> None:
        super().__init__(message)


class SecondStepNeeded(Refusal):
    """The password was right, and a code is still needed. `ticket` stands for the first step until `expires_at`."""

    code, status, title = "second_step_needed", 401, "Second step needed"

    def __init__(self, ticket: str, expires_at: str) -> None:
        super().__init__(
            "Send the code that your authenticator shows, or a recovery code.", ticket=ticket, expires_at=expires_at
        )


class PasswordChangeNeeded(Refusal):
    """The password was right, but only for choosing another. `ticket` allows that until `expires_at`."""

    code, status, title = "password_change_needed", 401, "Choose a new password"

    def __init__(self, ticket: str, expires_at: str) -> None:
        super().__init__("Choose a new password first.", ticket=ticket, expires_at=expires_at)


class InvalidCode(Refusal):
    """A recovery code or one-time code that is wrong or used; the same answer for an unknown name."""

    code, status, title = "invalid_code", 401, "Wrong code"

    def __init__(self, message: str = "That code is wrong or was already used.", **extra: Any) -> None:
        super().__init__(message, **extra)


class LinkExpired(Refusal):
    """A one-time link or ticket that has been used, is too old, or never was."""

    code, status, title = "link_expired", 410, "Link expired"

    def __init__(self, message: str = "This link has expired or was already used. Request a new one.") -> None:
        super().__init__(message)


class Forbidden(Refusal):
    """Wrong origin, scope, or not an admin; `needs` names what is missing."""

    code, status, title = "forbidden", 403, "Forbidden"


class OriginRefused(Forbidden):
    """A page of an origin that may not do this; `origin` is the one received, `setting` the one that would allow it."""


class HostRefused(BadRequest):
    """The server was called by a name that is not its own; `host` is that name, `setting` would allow it."""


class NotFound(Refusal):
    """No such key, or no such path."""

    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(BadRequest):
    """A known path, requested with another method (protocol §5: 405 with the code `bad_request`)."""

    status = 405


class Conflict(Refusal):
    """Another write to this key came after the caller last read it; `entry` is the current one."""

    code, status, title = "conflict", 409, "Conflict"


class NameTaken(Refusal):
    """The username is already in use."""

    code, status, title = "name_taken", 409, "Name taken"

    def __init__(self) -> None:
        super().__init__("That username is taken; choose another.")


class TooLarge(Refusal):
    """A value, batch, message or body over its limit, in bytes (or ops)."""

    code, status, title = "too_large", 413, "Too large"


class InvalidKey(Refusal):
    """A key that protocol §1 does not allow."""

    code, status, title = "invalid_key", 422, "Invalid key"

    def __init__(self, reason: str, **extra: Any) -> None:
        super().__init__(f"That key cannot be used: {reason}.", reason=reason, **extra)


class InvalidValue(Refusal):
    """A value that protocol §1 does not allow."""

    code, status, title = "invalid_value", 422, "Invalid value"

    def __init__(self, reason: str, **extra: Any) -> None:
        super().__init__(f"That value cannot be stored: {reason}.", reason=reason, **extra)


class InvalidName(Refusal):
    """A username outside protocol §4."""

    code, status, title = "invalid_name", 422, "Invalid username"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, reason=reason)


class InvalidPassword(Refusal):
    """A password that is too short, too long or too easily guessed."""

    code, status, title = "invalid_password", 422, "Invalid password"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, reason=reason)


class OpIdReused(Refusal):
    """The `op_id` has already been used for something else."""

    code, status, title = "op_id_reused", 422, "Operation id already used"

    def __init__(self) -> None:
        super().__init__("This op_id was used for another verb or payload; choose a new one.")


class RateLimited(Refusal):
    """Too many requests; `retry_after` in seconds."""

    code, status, title = "rate_limited", 429, "Too many requests"

    def __init__(self, message: str = "Too many requests; wait a moment.", *, retry_after: int = 1) -> None:
        super().__init__(message, retry_after=retry_after)


class QuotaExceeded(Refusal):
    """A limit of the user is used up: keys, bytes, trash, receipts, or the share of a disk that is nearly full."""

    code, status, title = "quota_exceeded", 507, "Quota exceeded"


class Unavailable(Refusal):
    """Storage full or unreachable, or a queue full: the outcome may be unknown."""

    code, status, title = "unavailable", 503, "Unavailable"

    def __init__(
        self, message: str = "The store cannot answer now; repeat with the same op_id.", *, retry_after: int = 1
    ) -> None:
        super().__init__(message, retry_after=retry_after)


class Internal(Refusal):
    """A bug. The message contains nothing of it; the log does, under `request_id`."""

    code, status, title = "internal", 500, "Internal error"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "Something went wrong on the server. The error is in its log, under this request id.", request_id=request_id
        )
