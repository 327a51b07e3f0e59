"""Who is calling: resolved once at the door, checked again inside each write's transaction."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import msgspec

# the `session_id` of the house itself: rows are counted from 1
HOUSE = 0

# between a token's public id and an `op_id`: no `op_id` contains it
RECEIPT_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Caller:
    """A signed-in session or an API token: `session_id` is its row, `session` its public id, `label` what it is called.

    Its `scope` is `write` or `read`; with a `prefix` it has to do with the keys under it only. With `kept` its browser
    stays signed in when it is closed.
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
    # False for a session of which it is not stored yet how its token is sent: one from before that was recorded
    is_bound: bool = True

    @classmethod
    def house(cls, user_id: int, label: str, via: str) -> "Caller":
        """The house itself, writing in this user's space: no session, which nobody can have."""
        return cls(user_id, "", False, 0, HOUSE, "", label, via, kind="house")

    def as_via(self, via: str) -> "Caller":
        """The same caller at another door: `socket` or `http`."""
        return dataclasses.replace(self, via=via)

    @cached_property
    def is_limited(self) -> bool:
        """Whether there is something of the user's that this caller may not do."""
        return self.scope != "write" or self.prefix is not None

    @cached_property
    def receipt_namespace(self) -> str:
        """What is put in front of an `op_id` to identify its receipt.

        All credentials with full access share one namespace, so that a write may be sent again after a new sign-in. A
        limited token has a namespace of its own: it can neither learn of, nor occupy, the ids of others.
        """
        return f"{self.session}{RECEIPT_SEPARATOR}" if self.is_limited else ""

    @cached_property
    def origin(self) -> str:
        """The `origin` of this caller's writes, as JSON (protocol §1)."""
        return msgspec.json.encode({"session": self.session, "label": self.label, "via": self.via}).decode()
