"""Answers as JSON: encoding in pieces gives the same bytes as encoding at once."""

import pytest
from msgspec import Raw

from realtime_kv.core.messages import LARGE_BYTES, HistoryPage, ListPage, Result, SyncPage, TrashPage
from realtime_kv.verbs import registry as verbs

TRICKY = '"writes":[],"entries":[]'


@pytest.mark.parametrize("size", [1, LARGE_BYTES + 1])
@pytest.mark.parametrize(
    "make",
    [
        lambda page: HistoryPage(writes=page, floor=7),
        lambda page: TrashPage(entries=page, next=TRICKY, revision=7),
        lambda page: ListPage(entries=page, next=TRICKY, revision=7),
        lambda page: SyncPage(
            epoch=TRICKY, from_=1, revision=7, reset=True, writes=page, next=TRICKY, keys=1, digest=2
        ),
        lambda page: SyncPage(epoch=TRICKY, from_=1, revision=7, reset=False, writes=page, next=None),
    ],
)
def test_encoding_a_page_in_pieces_gives_the_same_json(make, size):
    answer = make(Raw(b'["%b"]' % (b"x" * size)))
    pieces = verbs.encode_in_pieces(answer)
    assert b"".join(pieces) == verbs.encode(answer)
    assert (len(pieces) == 1) == (size < LARGE_BYTES)


def test_every_answer_with_a_page_is_listed_for_encoding_in_pieces():
    fields = {kind: {"writes", "entries"} & set(kind.__struct_fields__) for kind in Result.__subclasses__()}
    assert {kind: names.pop() for kind, names in fields.items() if names} == verbs.PAGES
