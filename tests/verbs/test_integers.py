"""Integers may be written with a fraction of zeros or an exponent, as some languages write them."""

import pytest
from msgspec import UNSET

from realtime_kv.errors import BadRequest
from realtime_kv.verbs import registry as verbs


@pytest.mark.parametrize(
    ("verb", "body", "field", "number"),
    [
        ("list", b'{"limit":164.0}', "limit", 164),
        ("list", b'{"limit":1e2}', "limit", 100),
        ("history", b'{ "before" : 90.0 , "limit":1.0E1}', "before", 90),
        ("undo", b'{"revision":9007199254740991.0}', "revision", 9007199254740991),
        ("sync", b'{"epoch":"a","since":0.0}', "since", 0),
        ("set", b'{"key":"a","value":[1.50,{"limit":2.0}],"if_revision":3.0}', "if_revision", 3),
    ],
)
def test_a_whole_number_is_accepted_in_every_spelling(verb, body, field, number):
    assert getattr(verbs.decode(verb, body), field) == number


def test_batch_ops_accept_the_same_spellings_and_values_keep_theirs():
    batch = verbs.decode(
        "batch",
        b'{"ops":[{"op":"set","key":"a","value":2.0,"if_revision":0.0},{"op":"delete","key":"b","if_revision":1e1}]}',
    )
    assert [op.if_revision for op in batch.ops] == [0, 10]
    assert bytes(batch.ops[0].value) == b"2.0"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("list", b'{"limit":1.5}'),
        ("list", b'{"limit":1e99}'),
        ("list", b'{"limit":1001.0}'),
        ("list", b'{"limit":-1.0}'),
        ("list", b'{"limit":2.0,"ops":[{"ops":[{"ops":' + b"[" * 5000 + b"]" * 5000 + b"}]}]}"),
        ("list", b'{"limit":2.0,"limit":"\xff"}'),
        ("list", b'{"limit":2.0,"nonsense":1}'),
        ("batch", b'{"ops":[{"op":"delete","key":"a","if_revision":0.5}]}'),
        ("batch", b'{"ops":[3,{"op":"delete","key":"a","if_revision":1.0}]}'),
        ("batch", b'{"ops":{"if_revision":1.0},"op_id":1.0}'),
        ("undo", b'{"revision":9007199254740992.0}'),
    ],
)
def test_fractions_and_other_invalid_fields_are_bad_requests(verb, body):
    with pytest.raises(BadRequest):
        verbs.decode(verb, body)


def test_a_query_string_accepts_the_same_spellings_of_whole_numbers():
    assert verbs.decode_query("list", [("limit", "164.0")]).limit == 164
    assert verbs.decode_query("sync", [("epoch", "a"), ("since", "7")]).since == 7
    assert verbs.decode_query("list", [("limit", "9")]).after is UNSET
    for wrong in ("1.5", "1e2x", "-1", "٣", "", "9" * 20):
        with pytest.raises(BadRequest):
            verbs.decode_query("list", [("limit", wrong)])
