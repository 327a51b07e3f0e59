"""The JSON object reader finds the same members however a file is split into chunks."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_kv.core.transfer import json_stream
from realtime_kv.errors import BadRequest, TooLarge

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


@pytest.fixture(autouse=True, scope="module")
def small_windows():
    """Shrink the limit and the chunks, so that every token ends somewhere inside a chunk."""
    before = json_stream.LIMIT, json_stream._CHUNK
    json_stream.LIMIT, json_stream._CHUNK = 3_000, 5
    yield
    json_stream.LIMIT, json_stream._CHUNK = before


def read(content):
    text = json_stream.JsonObjectReader(io.BytesIO(content))
    found = [(name, json.loads(text.value())) for name in text.members()]
    text.end()
    return found


@given(st.lists(st.tuples(texts, values), max_size=40), st.sampled_from([None, 1]), st.booleans())
def test_members_are_read_in_file_order_and_truncation_is_detected(wanted, indent, ascii):
    spelt = [f"{json.dumps(name, ensure_ascii=ascii)} :\n{_spell(value, indent, ascii)}" for name, value in wanted]
    content = ("{" + " ,\t".join(spelt) + "}\r\n").encode()
    assert read(content) == wanted
    # and a truncated file is detected
    with pytest.raises(BadRequest):
        read(content[: (len(content) - 2) // 2])


def test_line_numbers_count_from_the_start_of_the_file():
    text = json_stream.JsonObjectReader(io.BytesIO(b'{\n\n"a": 1,\n"b":\n2}' + b"\n" * 9_000))
    assert [(name, text.line, text.value(), text.line) for name in text.members()] == [
        ("a", 3, b"1", 3), ("b", 4, b"2", 5),
    ]  # fmt: skip
    text.end()
    assert text.line == 9_005


def test_values_over_the_length_limit_are_refused_and_values_at_it_are_read():
    for content in (b'"%b"', b"[%b]"):
        inside = b"x" if content.startswith(b'"') else b" "
        assert len(read(b'{"a":' + content % (inside * 2_998) + b',"b":1}')) == 2
        with pytest.raises(TooLarge):
            read(b'{"a":' + content % (inside * 2_999) + b',"b":1}')
        with pytest.raises(TooLarge):
            read(b'{"a":' + content % (inside * 9_999) + b',"b":1}')
    assert read(b'{"a":' + b" " * 9_999 + b"1" + b" " * 9_999 + b"}") == [("a", 1)]


def _spell(value, indent, ascii):
    return json.dumps(value, indent=indent, ensure_ascii=ascii)
