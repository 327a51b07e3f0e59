"""Fingerprints: what an `op_id` was used for, in 128 bits, made of the verb and its payload as decoded JSON.

Receipts live for days and survive upgrades, so a fingerprint says by which version of this function it was made.
"""

import hashlib

import msgspec
from msgspec import UNSET

from realtime_kv.core.ops import Set
from realtime_kv.core.write import Write

# raise it with every change of what `of` returns for a request
VERSION = 1


def of(write: Write) -> str:
    """The same for every spelling of the same request, different for different ones."""
    parts = [write.verb.encode()]
    if write.plan is not None:
        parts.append(msgspec.json.encode(write.plan))
    for op in write.ops:
        # neither a key nor a canonical value holds the character that separates them
        value = op.canonical if isinstance(op, Set) else b""
        asked = b"%d" % (-1 if op.if_revision is None else op.if_revision)
        if isinstance(op, Set) and op.ttl is not UNSET:
            asked += b" ttl %b" % repr(op.ttl).encode()
        parts.append(b"%b\0%b\0%b" % (op.key.encode(), asked, value))
    digest = hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
    return f"{VERSION}:{digest}"
