"""Host names in the form in which browsers send them; the expected values come from the URL parser of Node.js."""

import pytest

from realtime_kv.origins import canonical_host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STRASSE.example", "strasse.example"),
        ("straße.example", "xn--strae-oqa.example"),
        # a capital sigma never becomes a final one, a final sigma stays final
        ("ΑΣ.example", "xn--mxa0b.example"),
        ("ΑΣ", "xn--mxa0b"),
        ("ΌΣΟΣ.gr", "xn--0xahb7a.gr"),
        ("ας.example", "xn--mxa8a.example"),
        # invisible characters are dropped: soft hyphen, zero-width space, word joiner, variation selector
        ("b\u00adücher.example", "xn--bcher-kva.example"),
        ("bü\u200bcher.example", "xn--bcher-kva.example"),
        ("bü\u2060cher.example", "xn--bcher-kva.example"),
        ("bü\ufe0fcher.example", "xn--bcher-kva.example"),
        ("kv\u00ad.example", "kv.example"),
        ("ｋｖ.example", "kv.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("bücher.example.", "xn--bcher-kva.example"),
    ],
)
def test_a_host_name_is_normalised_as_browsers_do(text, expected):
    assert canonical_host(text) == expected


@pytest.mark.parametrize("text", ["127.1", "0x7f000001", "0x7f.1", "a.0x1", "example.5", "2130706433", "1.2.3.4.5"])
def test_a_host_name_that_browsers_parse_as_an_ipv4_address_is_refused(text):
    with pytest.raises(ValueError, match="must be a host name or an IP address such as"):
        canonical_host(text)
