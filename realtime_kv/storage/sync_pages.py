"""Pages of a sync: where each begins and ends, and what a client is told; the same for every database."""

import base64
import binascii
from contextlib import AbstractContextManager
from typing import Annotated, Protocol

import msgspec
from msgspec import UNSET, Meta, Raw

from realtime_kv.core.backend import Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.messages import SyncPage
from realtime_kv.core.validation import SAFE_INTEGER
from realtime_kv.errors import BadRequest


class SyncPosition(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Position of a long sync: `since` has been sent; deletes up to `seen` need not be sent (-1: all must be).

    It is valid only for callers with this `prefix`. Between the steps of one page, `told` is where the page begins.
    """

    epoch: str
    since: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    seen: Annotated[int, Meta(ge=-1, le=SAFE_INTEGER)]
    reset: bool
    prefix: str | None = None
    told: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] | None = None


class SyncSource(Protocol):
    """A reader, as far as a sync needs it."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all statements inside see the data at one moment."""

    def epoch(self) -> str:
        """Return the name of the data set."""

    def bookmark_row(self, user_id: int) -> tuple[int, int, int, int]:
        """Return the space's revision, floor, keys and digest."""

    def writes_after(self, cost: Cost, user_id: int, at: SyncPosition, revision: int) -> tuple[int, str]:
        """Return the end of the page that begins at `at` in a space at `revision`, and its writes as a JSON array.

        Only the newest op on each key is in it. A write is never split.
        """


def sync(
    source: SyncSource,
    cost: Cost,
    user_id: int,
    *,
    epoch: str | None,
    since: int | None,
    next: str | None,
    prefix: str | None = None,
) -> SyncPage | Unfinished:
    """Return one page of the writes that a client lacks, in revision order (protocol §3).

    Every touched key appears once, in the write that last touched it. Pages are read one after the other, and a key
    that is written in between moves to a later page: a client that applies all pages in order has the last page's
    state.
    """
    at = _decode(next) if next is not None else None
    with source.snapshot():
        our_epoch = source.epoch()
        revision, floor, keys, digest = source.bookmark_row(user_id)
        if next is None and epoch == our_epoch and since is not None:
            at = SyncPosition(our_epoch, since, -1, False, prefix)
        if at is None or (at.epoch, at.prefix) != (our_epoch, prefix) or not _is_reachable(at, floor, revision):
            # a client that starts from nothing never had what was deleted before now
            at = SyncPosition(our_epoch, 0, revision, True, prefix)
        until, text = source.writes_after(cost, user_id, at, revision)
    last = until == revision
    if not last and text == "[]":
        # only deletes so far, which need not be sent
        going_on = _encode(
            SyncPosition(our_epoch, until, at.seen, at.reset, prefix, at.since if at.told is None else at.told)
        )
        return Unfinished(
            lambda reader, cost: sync(reader, cost, user_id, epoch=None, since=None, next=going_on, prefix=prefix)
        )
    # a caller with a prefix must not learn the size of the rest of the space
    proved = last and prefix is None
    return SyncPage(
        epoch=our_epoch,
        from_=at.since if at.told is None else at.told,
        revision=until,
        reset=at.reset,
        writes=Raw(text.encode()),
        next=None if last else _encode(SyncPosition(our_epoch, until, at.seen, at.reset, prefix)),
        keys=keys if proved else UNSET,
        digest=digest if proved else UNSET,
    )


def _is_reachable(at: SyncPosition, floor: int, revision: int) -> bool:
    # deletes up to `floor` have been purged: a client that began from nothing at `seen` needs none up to there
    return floor <= (max(at.since, at.seen) if at.reset else at.since) and at.since <= revision


def _encode(at: SyncPosition) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(at)).decode()


def _decode(text: str) -> SyncPosition:
    try:
        return msgspec.json.decode(base64.b64decode(text, altchars=b"-_", validate=True), type=SyncPosition)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise BadRequest("That `next` did not come from a sync; start again without it.", field="next") from None
