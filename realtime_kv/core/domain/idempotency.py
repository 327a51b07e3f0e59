"""Fingerprints for idempotency: 128 bits of the verb and its payload as decoded JSON, stored for each `op_id`.

Receipts live for days and survive upgrades, so a fingerprint names the version of the function that made it.
"""

import hashlib

import msgspec
from msgspec import UNSET

from realtime_kv.core.domain.operations import Set
from realtime_kv.core.domain.write_request import WriteRequest

# increment it with every change of the result of `of` for a request
VERSION = 1


def of(write: WriteRequest) -> str:
    """Return the fingerprint: equal for every spelling of the same request, different for different requests."""
    parts = [write.verb.encode()]
    if write.plan is not None:
        parts.append(msgspec.json.encode(write.plan))
    for op in write.ops:
        # neither a key nor a canonical value holds the separator
        value = op.canonical if isinstance(op, Set) else b""
        asked = b"%d" % (-1 if op.if_revision is None else op.if_revision)
        if isinstance(op, Set) and op.ttl is not UNSET:
            asked += b" ttl %b" % repr(op.ttl).encode()
        parts.append(b"%b\0%b\0%b" % (op.key.encode(), asked, value))
    digest = hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
    return f"{VERSION}:{digest}"
