"""What an `op_id` was used for, in 128 bits: the verb and its payload as decoded JSON."""

import hashlib

from realtime_kv.core.ops import Set
from realtime_kv.core.write import Write


def of(write: Write) -> str:
    """The same for every spelling of the same request, different for different ones."""
    parts = [write.verb.encode()]
    for op in write.ops:
        # neither a key nor a canonical value holds the character that separates them
        value = op.canonical if isinstance(op, Set) else b""
        parts.append(b"%b\0%d\0%b" % (op.key.encode(), -1 if op.if_revision is None else op.if_revision, value))
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
