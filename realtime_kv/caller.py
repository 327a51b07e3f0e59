"""Identity of a caller: resolved once by the transport, checked again inside each write's transaction."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import msgspec

# the `session_id` of the server itself: row ids start at 1
SYSTEM_SESSION = 0

# separates a token's public id from an `op_id`: no `op_id` contains it
RECEIPT_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Caller:
    """A signed-in session or an API token: `session_id` is its row, `session` its public id, `label` its name.

    Its `scope` is `write` or `read`; with a `prefix` it is limited to the keys under it. With `kept` its browser stays
    signed in when it is closed.
    """

    user_id: int
    username: str
    is_admin: bool
    user_created_at: int
    session_id: int
    session: str
    label: str
    via: str
    kind: str = "session"
    scope: str = "write"
    prefix: str | None = None
    kept: bool = True
    # False for a session that does not record yet how its token is sent: one from before that was stored
    is_bound: bool = True

    @classmethod
    def system(cls, user_id: int, label: str, via: str) -> "Caller":
        """Return the server itself as a caller in this user's space, with a session id that no client can have."""
        return cls(user_id, "", False, 0, SYSTEM_SESSION, "", label, via, kind="system")

    def as_via(self, via: str) -> "Caller":
        """Return the same caller on another transport: `socket`, `http` or `import`."""
        return dataclasses.replace(self, via=via)

    @cached_property
    def is_limited(self) -> bool:
        """Return whether this caller lacks some of its user's rights."""
        return self.scope != "write" or self.prefix is not None

    @cached_property
    def receipt_namespace(self) -> str:
        """The prefix of an `op_id` that identifies its receipt.

        All credentials with full access share one namespace, so that a write may be sent again after a new sign-in. A
        limited token has a namespace of its own: it can neither learn of, nor occupy, the ids of others.
        """
        return f"{self.session}{RECEIPT_SEPARATOR}" if self.is_limited else ""

    @cached_property
    def origin(self) -> str:
        """The `origin` of this caller's writes, as JSON (protocol §1)."""
        return msgspec.json.encode({"session": self.session, "label": self.label, "via": self.via}).decode()
