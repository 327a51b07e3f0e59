"""Addresses in every spelling of proxies and kernels, and the networks that limits count by."""

import pytest

from realtime_kv.request.addresses import network_of, normalize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7:51008", "203.0.113.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:51008", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:80", "fe80::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:cb00:7109", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ("203.0.113", None),
        ("203.0.113.7:port", None),
        ("203.0.113.256", None),
        ("203.0.113.07", None),
        ("[203.0.113.7", None),
        ("2001:db8::7]:1", None),
        ("[]", None),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("1" * 60_000, None),
        ("\u0661.1.1.1", None),
    ],
)
def test_addresses_are_normalized_to_one_spelling(text, expected):
    assert normalize(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
        ("[2001:db8:0:1::1]:5000", "2001:db8:0:1::"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:1", "203.0.113.9:2"),
    ],
)
def test_addresses_of_one_network_count_as_one(one, other):
    assert network_of(one) == network_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:0:1::1", "2001:db8:0:2::1"), ("203.0.113.9", "203.0.113.8"), ("unknown", "hidden")],
)
def test_addresses_of_different_networks_count_separately(one, other):
    assert network_of(one) != network_of(other)
