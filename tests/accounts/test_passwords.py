import time
from contextlib import suppress

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_kv.accounts.credentials import passwords
from realtime_kv.errors import InvalidPassword


@pytest.mark.parametrize("password", ["12345678", "é" * 4, "x" * 1024, "é" * 512, " leading and trailing "])
def test_passwords_of_8_to_1024_bytes_are_accepted_unchanged(password):
    assert passwords.check(password) == password


@pytest.mark.parametrize("password", ["", "1234567", "ééé", "x" * 1025, "é" * 513, "abcdefgh\ud800"])
def test_too_short_too_long_or_malformed_passwords_are_refused(password):
    with pytest.raises(InvalidPassword) as refused:
        passwords.check(password)
    assert refused.value.extra["reason"]
    assert not passwords.could_be(password)


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "12345678",
        "aaaaaaaaaaaaaaaa",
        "a" * 1024,
        "qwertyuiop",
        "alice-smith1",
        "realtime_kv",
        "Realtime_kv!",
        "keyvaluestore",
        "superuser1",
    ],
)
def test_easily_guessed_passwords_are_refused_with_a_reason(password):
    with pytest.raises(InvalidPassword, match="too easy to guess"):
        passwords.judge(password, "alice-smith")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "Tr0ub4dour&3x", "пароль-мой-длинный", "\x00\x07zq#8Lp!"]
)
def test_strong_passwords_are_accepted(password):
    passwords.judge(password, "alice")


@given(st.text(min_size=8, max_size=1024), st.text(alphabet="abc.-_9", min_size=3, max_size=32))
@settings(max_examples=150)
def test_the_strength_check_terminates_for_any_text(password, username):
    with suppress(InvalidPassword):
        passwords.judge(password, username)


@pytest.mark.parametrize("password", ["4@8({[<3691!|0$5+7%2" * 3, "[|<!41@7{9+$5%2036(8" * 3])
def test_crafted_passwords_do_not_slow_down_the_strength_check(password):
    passwords.judge(password, "alice")
    began = time.process_time()
    passwords.judge(password, "alice")
    assert time.process_time() - began < 0.5


def test_a_password_with_many_leet_substitutions_is_accepted():
    passwords.judge("a4@8({[<3691!|0$5+7%2", "alice")


def test_a_hash_is_argon2id_with_19_mib_two_passes_and_one_lane():
    parameters = extract_parameters(passwords.digest("correct horse battery"))
    assert (parameters.type.name, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        "ID",
        19 * 1024,
        2,
        1,
    )


def test_a_hash_matches_only_the_identical_bytes():
    kept = passwords.digest("correct horse battéry")
    assert passwords.matches(kept, "correct horse battéry")
    # decomposed: looks the same, but is not the typed password
    assert not passwords.matches(kept, "correct horse batte\u0301ry")
    assert not passwords.matches(kept, "correct horse battéry ")


def test_a_long_password_is_hashed_without_truncation():
    kept = passwords.digest("x" * 1023 + "y")
    assert not passwords.matches(kept, "x" * 1024)


def test_the_dummy_hash_has_the_real_parameters_and_matches_nothing():
    assert extract_parameters(passwords.NOBODYS_HASH) == extract_parameters(passwords.digest("correct horse battery"))
    assert not passwords.matches(passwords.NOBODYS_HASH, "")
    assert not passwords.matches(passwords.NOBODYS_HASH, "correct horse battery")


def test_a_hash_with_other_parameters_is_outdated():
    assert passwords.is_outdated(PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("x"))
    assert not passwords.is_outdated(passwords.digest("x"))
