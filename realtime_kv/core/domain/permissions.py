"""Permissions of an API token (protocol §4): its scope and its prefix, checked once in each verb of the store.

A refusal is the same for existing and missing keys, and is made before anything is looked up.
"""

from collections.abc import Sequence

from realtime_kv.caller import Caller
from realtime_kv.core.domain.operations import Op
from realtime_kv.errors import Forbidden, QuotaExceeded, Refusal


def check_key(caller: Caller, key: str) -> None:
    """Raise Forbidden unless the caller may see this key."""
    if caller.prefix is not None and not key.startswith(caller.prefix):
        raise _outside()


def check_write(caller: Caller, verb: str, ops: Sequence[Op]) -> None:
    """Raise Forbidden unless the caller may write these keys; in a batch with the `index` of the first other one."""
    if caller.scope != "write":
        raise Forbidden("This token may only read.", needs="write")
    prefix = caller.prefix
    if prefix is None:
        return
    for index, op in enumerate(ops):
        if not op.key.startswith(prefix):
            raise _outside(**({"index": index} if verb == "batch" else {}))


def narrowed(caller: Caller, prefix: str) -> str:
    """Return the prefix of the keys under `prefix` that the caller may see. Raises Forbidden for none."""
    own = caller.prefix
    if own is None or prefix.startswith(own):
        return prefix
    if own.startswith(prefix):
        return own
    raise _outside()


_NO_ROOM = "The user's quota is used up; delete something first."
_WITHHELD = {
    "receipts": "The user's receipts have reached their limit (RKV_RECEIPT_BYTES): write without an `op_id`.",
    "disk": "The server's disk is nearly full, and the user takes a large part of it: only deletes are accepted.",
    "trash": "The user's deleted keys have reached their limit (RKV_TRASH_BYTES): no new keys for some minutes.",
}


def withhold(refusal: Refusal) -> None:
    """Remove the user's total use from a refusal, which a caller with a prefix must not learn."""
    if isinstance(refusal, QuotaExceeded):
        refusal.extra.pop("used", None)
        refusal.message = _WITHHELD.get(refusal.extra.get("resource", ""), _NO_ROOM)


def _outside(**extra: int) -> Forbidden:
    return Forbidden("This token is limited to another prefix.", **extra)
