"""What an `op_id` was used for, in 128 bits: the verb and its payload as decoded JSON."""

import hashlib

import msgspec
from msgspec import Raw

from realtime_kv.core import values
from realtime_kv.core.ops import Set
from realtime_kv.core.write import Write

_encode = msgspec.json.Encoder().encode


def of(write: Write) -> str:
    """The same for every spelling of the same request, different for different ones."""
    ops = [
        (op.key, op.if_revision, Raw(values.canonical(op.value.encode())))
        if isinstance(op, Set)
        else (op.key, op.if_revision)
        for op in write.ops
    ]
    return hashlib.blake2b(_encode((write.verb, ops)), digest_size=16).hexdigest()
