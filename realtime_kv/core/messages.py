"""Messages of the protocol: writes, changes and answers, and the digest that proves a copy.

Values are encoded bytes (`msgspec.Raw`), so that nothing is encoded twice on its way to disk and tabs.
"""

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw, UnsetType

# a change or a page holds about this many bytes, and one write (or entry) more
PAGE_BYTES = 512 * 1024
# from this size on, JSON is not copied before it is sent: each copy would block the event loop
LARGE_BYTES = 64 * 1024
# later than any time
NEVER = 1 << 62

_encode = msgspec.json.Encoder().encode


class Result(msgspec.Struct, kw_only=True):
    """Answer of a verb; every answer holds `"ok": true`."""

    ok: bool = True


class Entry(msgspec.Struct, kw_only=True):
    """A live key in the answers of `get` and `list`."""

    key: str
    value: Raw | UnsetType = UNSET
    revision: int
    created_revision: int
    version: int
    created_at: str
    updated_at: str
    expires_at: str | None


class GetResult(Result):
    """The entry, built by the database as JSON."""

    entry: Raw


class WriteResult(Result):
    """Answer of a write; with `replayed` it is the answer of an earlier write with the same `op_id`."""

    revision: int
    version: int
    replayed: bool | UnsetType = UNSET


class DeleteResult(Result):
    revision: int
    existed: bool
    replayed: bool | UnsetType = UNSET


class Version(msgspec.Struct):
    version: int


class Existed(msgspec.Struct):
    existed: bool


class CountResult(Result):
    """Answer of a verb that writes as many keys as it finds; a dry run's `count` is the number it would write."""

    revision: int
    count: int
    replayed: bool | UnsetType = UNSET


class BatchResult(Result):
    revision: int
    results: list[Raw]
    replayed: bool | UnsetType = UNSET


class HistoryPage(Result):
    """A page of writes, newest first, as they are in the log; complete from the revision `floor` on."""

    writes: Raw
    floor: int


class TrashPage(Result):
    """A page of deleted keys, built by the database as JSON."""

    entries: Raw
    next: str | None
    revision: int


class ListPage(Result):
    """A page of entries, built by the database as JSON."""

    entries: Raw
    next: str | None
    revision: int


class SyncPage(Result):
    """A page of a sync; only the last one has `keys` and `digest`."""

    epoch: str
    from_: int = msgspec.field(name="from")
    revision: int
    reset: bool
    writes: Raw
    next: str | None
    keys: int | UnsetType = UNSET
    digest: int | UnsetType = UNSET


class SetOp(msgspec.Struct, tag_field="op", tag="set", kw_only=True):
    """A set as tabs see it; `expires_at` is left out for an entry that never expires."""

    key: str
    value: Raw
    version: int
    expires_at: str | UnsetType = UNSET


class DeleteOp(msgspec.Struct, tag_field="op", tag="delete", kw_only=True):
    key: str


Op = SetOp | DeleteOp


class WriteFrame(msgspec.Struct, kw_only=True):
    """One accepted write: atomic, never split, never partly visible; an undo names the write that it undoes."""

    revision: int
    at: str
    origin: Raw
    undoes: int | UnsetType = UNSET
    ops: list[Op]


class Bookmark(msgspec.Struct, kw_only=True):
    """Position of a space: its epoch and revision, the number of live keys, and the digest over them."""

    epoch: str
    revision: int
    keys: int
    digest: int


class CommitEvent(msgspec.Struct, kw_only=True):
    """Event for the watchers: one user's writes in one commit, and the bookmark of the space after them.

    A write is its revision and its frame: JSON, in the shape of WriteFrame. No entry written expires before
    `expires_at` (milliseconds).
    """

    user_id: int
    epoch: str
    from_: int
    writes: list[tuple[int, str]]
    keys: int
    digest: int
    expires_at: int = NEVER

    @property
    def revision(self) -> int:
        return self.writes[-1][0]

    def changes(self) -> Iterator[bytes]:
        """Yield the encoded changes: usually one, split between writes if there is more than a page."""
        return _changes(self.epoch, self.from_, self.writes)

    def writes_under(self, prefix: str) -> list[tuple[int, str]]:
        """Return the writes with their ops on keys with this prefix only; writes without such ops are left out."""
        # a frame is our own JSON: without this spelling of a key, it need not be decoded
        spelt = '"key":' + _quote(prefix)[:-1]
        narrowed = []
        for revision, frame in self.writes:
            if spelt in frame:
                write = _read_frame(frame)
                ops = [op for op in write.ops if op.key.startswith(prefix)]
                if ops:
                    whole = len(ops) == len(write.ops)
                    write.ops = ops
                    narrowed.append((revision, frame if whole else _encode(write).decode()))
        return narrowed

    def changes_of(self, writes: list[tuple[int, str]], from_: int) -> Iterator[bytes]:
        """Yield the encoded changes with these writes, for a receiver that was last told of the revision `from_`."""
        return _changes(self.epoch, from_, writes)

    def bookmark(self) -> Bookmark:
        return Bookmark(epoch=self.epoch, revision=self.revision, keys=self.keys, digest=self.digest)


class Position(msgspec.Struct, kw_only=True):
    """The bookmark for a caller that must not learn the size of the rest of the space."""

    epoch: str
    revision: int


def set_op(key: str, value: str, version: int, expires_at: int | None) -> str:
    """Return a SetOp as JSON; `value` is JSON already."""
    expires = "" if expires_at is None else f',"expires_at":"{timestamp(expires_at)}"'
    return f'{{"op":"set","key":{_quote(key)},"value":{value},"version":{version}{expires}}}'


def delete_op(key: str) -> str:
    """Return a DeleteOp as JSON."""
    return f'{{"op":"delete","key":{_quote(key)}}}'


def write_frame(revision: int, at: str, origin: str, ops: list[str], undoes: int | None = None) -> str:
    """Return a WriteFrame as JSON; `origin` and `ops` are JSON already."""
    undone = "" if undoes is None else f',"undoes":{undoes}'
    return f'{{"revision":{revision},"at":"{at}","origin":{origin}{undone},"ops":[{",".join(ops)}]}}'


def read_frame(frame: str | bytes) -> WriteFrame:
    """Decode the result of `write_frame`."""
    return _read_frame(frame)


def timestamp(ms: int) -> str:
    """Format milliseconds since 1970 as RFC 3339 in UTC with milliseconds."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


def milliseconds(timestamp: str) -> int:
    """Return the milliseconds of a `timestamp`."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _changes(epoch: str, from_: int, writes: list[tuple[int, str]]) -> Iterator[bytes]:
    size, page = 0, []
    last = writes[-1][0]
    for revision, frame in writes:
        page.append(frame)
        size += len(frame)
        if size >= PAGE_BYTES or revision == last:
            text = ",".join(page)
            yield f'{{"epoch":"{epoch}","from":{from_},"revision":{revision},"writes":[{text}]}}'.encode()
            from_, size, page = revision, 0, []


def _quote(text: str) -> str:
    return _encode(text).decode()


def digest_of(key: str, revision: int) -> int:
    """Return one live key's part of the digest of its space (protocol §3); the sum is taken modulo 2^32."""
    h = zlib.crc32(key.encode()) + revision * 0x9E3779B1 & 0xFFFFFFFF
    # fmix32, the finalizer of MurmurHash3
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


_read_frame = msgspec.json.Decoder(WriteFrame).decode
