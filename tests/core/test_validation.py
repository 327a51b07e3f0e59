import contextlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_kv.core import validation
from realtime_kv.core.validation import check_key, check_value
from realtime_kv.errors import BadRequest, InvalidKey, InvalidValue, Refusal, TooLarge

safe_text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2**53) + 1, 2**53 - 1) | safe_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(safe_text, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_a_checked_value_is_equal_and_compact(value):
    text = check_value(json.dumps(value, indent=1).encode()).text
    assert json.loads(text) == value
    assert check_value(text.encode()).text == text


@given(json_values)
def test_two_spellings_of_one_value_have_the_same_canonical_form(value):
    plain = json.dumps(value, ensure_ascii=False)
    other = json.dumps(_respelled(value), indent=2, sort_keys=True)
    assert check_value(plain.encode()).canonical == check_value(other.encode()).canonical


@settings(max_examples=500)
@given(st.binary(max_size=80) | safe_text.map(str.encode))
def test_arbitrary_bytes_are_either_accepted_as_json_or_refused(raw):
    with contextlib.suppress(Refusal):
        json.loads(check_value(raw).text)


@pytest.mark.parametrize("depth", [1, 64])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_64_levels_of_nesting_are_allowed(depth, opening, closing):
    check_value(opening * depth + (b"1" if opening != b"[" else b"") + closing * depth)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 30_000 + b"]" * 30_000,
        b"9007199254740992",
        b"[-9007199254740992]",
        b'{"a":{"b":[123456789012345678901234567890]}}',
        b"1e400",
        b"-1e400",
        b"9" * 5000,
        # the same numbers in every other spelling
        b"9007199254740992.0",
        b"9007199254740993.0",
        b"9007199254740991.5",
        b"9.007199254740992e15",
        b"[-9007199254740992E0]",
        b"1.7e18",
        b"1e20",
        b"1e21",
        b"1e300",
        b"12345678901234567890.5",
        b'{"a":[{"b":1e16}]}',
        # numbers that a double would round to 0
        b"1e-400",
        b"-1E-400",
        b'{"a":[0,{"b":0.00001e-330}]}',
        b"0." + b"0" * 340 + b"1",
        b'["\\"",1e-400]',
    ],
)
def test_values_that_a_browser_cannot_represent_are_refused(raw):
    with pytest.raises(InvalidValue):
        check_value(raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"9007199254740991", "9007199254740991"),
        (b"9007199254740991.0", "9007199254740991.0"),
        (b"-9.007199254740991e15", "-9007199254740991.0"),
        (b"5e-324", "5e-324"),
        (b"0e-400", "0.0"),
        (b"-0.0e-999", "-0.0"),
        (b"0." + b"0" * 400, "0.0"),
        (b'"1e-400"', '"1e-400"'),
        (b'["a\\\\",0.5,"1e-400\\""]', '["a\\\\",0.5,"1e-400\\""]'),
        (b'{"1e-400":1e-3}', '{"1e-400":0.001}'),
    ],
)
def test_boundary_numbers_and_number_like_strings_are_kept(raw, text):
    assert check_value(raw).text == text
    # an accepted value is accepted again in the form in which it is returned
    assert check_value(text.encode()).text == text


@given(st.floats())
def test_a_float_is_accepted_exactly_if_finite_and_below_two_to_the_53(number):
    raw = json.dumps(number).encode()
    if math.isfinite(number) and abs(number) <= 2**53 - 1:
        assert json.loads(check_value(raw).text) == number
    else:
        with pytest.raises(Refusal):
            check_value(raw)


@pytest.mark.parametrize(
    "raw",
    [b"", b"NaN", b"Infinity", b"-Infinity", b'"\\ud800"', b'"\xff"', b"{", b"01", b"1 2", b"'a'", b"\xef\xbb\xbf1"],
)
def test_invalid_json_is_a_bad_request(raw):
    with pytest.raises(BadRequest):
        check_value(raw)


def test_the_limit_counts_bytes_of_compact_json():
    assert len(check_value(b'"' + b"x" * 65_534 + b'"').text) == 65_536
    assert check_value(b"[ 1 ]" + b" " * 70_000).text == "[1]"
    with pytest.raises(TooLarge) as refused:
        check_value('"é"'.encode() * 1, limit=3)
    assert refused.value.extra == {"limit": 3, "actual": 4}


@pytest.mark.parametrize("item", [b"1.5", b"1e-99", b"[[1]]", b'{"a":1}', b'""'])
def test_a_far_too_large_value_is_refused_before_it_is_decoded(item, monkeypatch):
    raw = b"[" + b",".join([item] * 70_000) + b"]"
    monkeypatch.setattr(validation, "_decode", None)
    with pytest.raises(TooLarge) as refused:
        check_value(raw)
    assert 65_536 < refused.value.extra["actual"] <= len(raw)


def test_white_space_and_escapes_do_not_count_towards_the_limit():
    assert check_value(b"[" + b" \n" * 40_000 + b"1]").text == "[1]"
    escaped = b'"' + b"\\u00e9" * 20_000 + b'"'
    assert len(escaped) > 65_536 and len(check_value(escaped).text) == 20_002


def test_the_last_duplicate_member_wins_and_boundary_integers_are_kept():
    assert check_value(b'{"a":1,"a":2}').text == '{"a":2}'
    assert check_value(b"[9007199254740991,-9007199254740991]").text == "[9007199254740991,-9007199254740991]"
    assert check_value(b'"9007199254740993"').text == '"9007199254740993"'


@pytest.mark.parametrize("key", ["a", "a//b", ".", "..", "__proto__", " a ", "é" * 256, "😀", "\u2028", "\x80"])
def test_valid_keys_are_accepted(key):
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "a\nb", "\x00", "a\x7f", "\x1f", "x" * 513, "é" * 257])
def test_invalid_keys_are_refused_with_a_reason(key):
    with pytest.raises(InvalidKey) as refused:
        check_key(key)
    assert refused.value.extra["reason"]


def _respelled(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return float(value) if abs(value) < 2**53 else value
    if isinstance(value, float):
        return value
    if isinstance(value, list):
        return [_respelled(item) for item in value]
    return {name: _respelled(item) for name, item in reversed(value.items())}
