"""Handler of the socket event `identify`: the identity of the connection's caller, and of the server.

A client sends it first on every connection, and again to check whether the connection is still alive. It reads nothing
from the disk, so the answer is as fast as the connection.
"""

from typing import Any

import msgspec

from realtime_kv import static_assets
from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future
from realtime_kv.core.messages import timestamp
from realtime_kv.core.store import BATCH_OPS, Store
from realtime_kv.core.validation import KEY_BYTES
from realtime_kv.errors import BadRequest
from realtime_kv.realtime.engineio.sessions import MESSAGE_BYTES
from realtime_kv.verbs.payloads import Payload
from realtime_kv.version import VERSION

EVENT = "identify"


class Identify(Payload):
    """The payload of `identify`, an empty object."""

    def call(self, store: Store, caller: Caller) -> Future[Any]:
        """Return the content of the acknowledgement, already resolved."""
        return Future.called(lambda: _identity(caller, store))


def decode(body: bytes) -> Identify:
    """Decode the payload. Raises BadRequest."""
    try:
        return msgspec.json.decode(body, type=Identify)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadRequest(f"{EVENT!r} takes an empty object.") from None


def _identity(caller: Caller, store: Store) -> dict[str, Any]:
    return {
        "ok": True,
        "user": {"username": caller.username},
        "session": {"id": caller.session, "label": caller.label},
        "limits": {"key": KEY_BYTES, "value": store.value_bytes, "batch": BATCH_OPS, "message": MESSAGE_BYTES},
        "server": {"version": VERSION, "build": static_assets.build(), "time": timestamp(store.clock())},
    }
