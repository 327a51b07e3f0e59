import hashlib
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import select, update

from realtime_kv.accounts import rate_limits as limits
from realtime_kv.accounts.credentials import passwords
from realtime_kv.errors import (
    InvalidCredentials,
    InvalidName,
    InvalidPassword,
    NameTaken,
    RateLimited,
    Unauthenticated,
)
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.models import Space, User, UserSession

PASSWORD = "correct horse battery"
DAY = 24 * 60 * 60 * 1000


def test_sign_up_creates_a_session_and_an_empty_space(town):
    signed_in = town.sign_up("Alice")
    caller = town.caller(signed_in.token)
    assert (caller.username, caller.is_admin, caller.label, caller.via) == ("Alice", False, "Firefox on Linux", "http")
    assert caller.session == signed_in.session
    assert caller.user_created_at == town.clock.now
    assert town.wait(town.store.usage(caller)).keys == 0
    assert town.write(lambda db: db.execute(select(Space.revision)).scalars().all()) == [0]


def test_a_duplicate_username_in_any_case_is_refused_and_stores_nothing(town):
    town.sign_up("Alice")
    for name in ["Alice", "alice", "ALICE"]:
        with pytest.raises(NameTaken):
            town.sign_up(name, "another good password")
    assert town.write(lambda db: len(db.execute(select(User.id)).all())) == 1
    assert town.write(lambda db: len(db.execute(select(UserSession.id)).all())) == 1


def test_concurrent_sign_ups_with_the_same_name_create_one_user(busy_town):
    def sign_up(n):
        try:
            return busy_town.sign_up("alice" if n % 2 else "ALICE").user.id
        except NameTaken:
            return None

    with ThreadPoolExecutor(4) as pool:
        assert len([user for user in pool.map(sign_up, range(4)) if user]) == 1


@pytest.mark.parametrize(
    ("username", "password", "refusal"),
    [
        ("al", PASSWORD, InvalidName),
        ("al ice", PASSWORD, InvalidName),
        ("alice", "short", InvalidPassword),
        ("alice", "password", InvalidPassword),
        ("alice-smith", "alice-smith", InvalidPassword),
        ("alice", "x\ud800" * 8, InvalidPassword),
        ("alice", PASSWORD * 100, InvalidPassword),
    ],
)
def test_an_invalid_name_or_password_creates_no_user(town, username, password, refusal):
    with pytest.raises(refusal):
        town.sign_up(username, password)
    assert town.write(lambda db: db.execute(select(User.id)).all()) == []


def test_session_tokens_are_random_and_stored_only_as_a_hash(town):
    first, second = town.sign_up("alice"), town.sign_in("alice")
    assert re.fullmatch(r"rks_[A-Za-z0-9_-]{43}", first.token)
    assert first.token != second.token and first.session != second.session
    kept = town.write(lambda db: db.execute(select(UserSession.token_hash).order_by(UserSession.id)).scalars().all())
    assert kept == [hashlib.sha256(each.token.encode()).digest() for each in (first, second)]


def test_sign_in_matches_the_name_in_any_case_and_the_password_exactly(town):
    town.sign_up("Alice", "Correct Horse Battery")
    assert town.sign_in("ALICE", "Correct Horse Battery").user.username == "Alice"
    for wrong in ["correct horse battery", "Correct Horse Battery ", "", "x" * 2000, "\ud800" * 8]:
        with pytest.raises(InvalidCredentials):
            town.sign_in("Alice", wrong)


@pytest.mark.parametrize("name", ["bob", "", "al\x00ice", "\ud800", "x" * 100_000, "' OR 1=1 --", "ALİCE", "al ice"])
def test_an_unknown_name_is_answered_like_a_wrong_password(town, name):
    town.sign_up("alice")
    with pytest.raises(InvalidCredentials) as unknown:
        town.sign_in(name)
    with pytest.raises(InvalidCredentials) as wrong:
        town.sign_in("alice", "the wrong password")
    assert unknown.value.body() == wrong.value.body()


def test_an_unknown_name_costs_the_same_work_as_a_wrong_password(found, monkeypatch):
    town = found(rate_limits=False)
    town.sign_up("alice")
    verified, matches = [], passwords.matches

    def watched(known_hash, password):
        verified.append(known_hash)
        return matches(known_hash, password)

    monkeypatch.setattr(passwords, "matches", watched)
    for name in ("alice", "bob"):
        with pytest.raises(InvalidCredentials):
            town.sign_in(name, "the wrong password")
    known, unknown = verified
    assert known != unknown
    assert extract_parameters(known) == extract_parameters(unknown)


def test_sign_out_ends_only_its_own_session_and_notifies_watchers_once(town):
    here, there = town.sign_up("alice"), town.sign_in("alice")
    session_id = town.caller(here.token).session_id
    town.sign_out(here.token)
    assert [(end.session_id, end.user_id, end.reason) for end in town.ended] == [
        (session_id, here.user.id, "signed_out")
    ]
    with pytest.raises(Unauthenticated):
        town.caller(here.token)
    assert town.caller(there.token).username == "alice"
    town.sign_out(here.token)
    assert len(town.ended) == 1


def test_watchers_are_called_after_the_commit_and_before_the_caller_is_answered(busy_town):
    town = busy_town
    signed_in = town.sign_up("alice")
    seen = []
    town.accounts.watch(lambda end: seen.append(town.accounts.caller(signed_in.token, "http", presented="cookie")))
    town.sign_out(signed_in.token)
    assert len(seen) == 1
    with pytest.raises(Unauthenticated):
        town.wait(seen[0])


def test_a_failing_watcher_does_not_undo_the_sign_out(town):
    def fail(_):
        raise RuntimeError("a watcher's bug")

    signed_in = town.sign_up("alice")
    town.accounts.context._watchers.insert(0, fail)
    town.sign_out(signed_in.token)
    assert len(town.ended) == 1
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_sign_in_ends_the_previous_session_of_the_request(town):
    old = town.sign_up("alice")
    new = town.sign_in("alice", replacing=old.token)
    with pytest.raises(Unauthenticated):
        town.caller(old.token)
    assert town.caller(new.token).username == "alice"
    assert [end.reason for end in town.ended] == ["ended"]


def test_a_failed_sign_in_keeps_the_previous_session(town):
    old = town.sign_up("alice")
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice", "the wrong password", replacing=old.token)
    assert town.caller(old.token).username == "alice"


@pytest.mark.parametrize(
    "token", ["", "rks_", "rks_" + "x" * 43, "rkv_" + "x" * 43, "rks_" + "é" * 43, "\ud800", "x" * 10_000]
)
def test_unknown_tokens_are_unauthenticated_and_end_no_session(town, token):
    town.sign_up("alice")
    with pytest.raises(Unauthenticated):
        town.caller(token)
    town.sign_out(token)
    town.sign_in("alice", replacing=token)
    assert town.ended == []


def test_sessions_expire_after_the_configured_number_of_days(found):
    town = found(session_days=7)
    signed_in = town.sign_up("alice")
    assert signed_in.expires_at == town.clock.now + 7 * DAY
    town.clock.now += 7 * DAY - 1
    assert town.caller(signed_in.token).username == "alice"
    town.clock.now += 1
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_expired_sessions_are_ended_and_reported_to_watchers(town):
    old = town.sign_up("alice")
    town.clock.now += 29 * DAY
    young = town.sign_in("alice")
    town.clock.now += DAY
    assert town.wait(town.accounts.end_expired()) == 1
    assert [(end.user_id, end.reason) for end in town.ended] == [(old.user.id, "expired")]
    assert town.caller(young.token).username == "alice"
    assert town.wait(town.accounts.end_expired()) == 0


def test_a_disabled_user_is_unauthenticated_and_cannot_sign_in(town):
    signed_in = town.sign_up("alice")
    town.write(lambda db: db.execute(update(User).values(disabled_at=town.clock.now)) and None)
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice")


def test_an_outdated_hash_is_renewed_at_the_next_sign_in(town):
    town.sign_up("alice")
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    town.write(lambda db: db.execute(update(User).values(password_hash=old)) and None)
    town.sign_in("alice")
    kept = town.write(lambda db: db.execute(select(User.password_hash)).scalar_one())
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    town.sign_in("alice")


def guess(town, name="alice", address="10.0.0.1", times=1):
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            town.sign_in(name, "the wrong password", address=address)


def test_failed_sign_ins_are_rate_limited_per_address_and_successes_are_not(town):
    town.sign_up("alice")
    for _ in range(limits.SIGN_IN.burst + 5):
        town.sign_in("alice", address="10.0.0.1")
    guess(town, times=limits.FREE_ATTEMPTS)
    with pytest.raises(RateLimited):
        town.sign_in("alice", address="10.0.0.1")
    town.sign_in("alice", address="10.0.0.2")
    town.clock.now += 1000
    town.sign_in("alice", address="10.0.0.1")
    guess(town, times=limits.FREE_ATTEMPTS)


def test_sign_in_limit_of_an_account_is_revealed_only_with_the_right_password(town):
    town.sign_up("alice")
    for n in range(limits.ENTER.burst):
        town.sign_in("alice", address=f"10.0.{n}.1")
    with pytest.raises(RateLimited):
        town.sign_in("alice", address="10.1.0.1")
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice", "the wrong password", address="10.1.0.2")
    town.clock.now += limits.ENTER.interval
    town.sign_in("alice", address="10.1.0.3")


def test_sign_out_with_an_invalid_token_writes_nothing(town, monkeypatch):
    signed_in = town.sign_up("alice")
    town.sign_out(signed_in.token)
    monkeypatch.setattr(town.store.writer, "_submit_job", lambda *_: pytest.fail("something was written"))
    for token in (signed_in.token, "rks_" + "x" * 43, "rkv_" + "x" * 43, "x"):
        town.sign_out(token)


def test_password_guesses_from_many_networks_do_not_delay_the_owner(town):
    town.sign_up("alice")
    for network in range(limits.ATTACK.burst // limits.FREE_ATTEMPTS + 1):
        guess(town, address=f"10.0.1.{network}", times=limits.FREE_UNDER_ATTACK)
    town.sign_in("alice", address="192.0.2.7")


def test_unknown_names_are_rate_limited_like_existing_ones(town):
    guess(town, "nobody", times=limits.FREE_ATTEMPTS)
    with pytest.raises(RateLimited):
        town.sign_in("Nobody", address="10.0.0.1")


def test_a_rate_limited_sign_in_computes_no_password_hash(town, monkeypatch):
    guess(town, "nobody", times=limits.FREE_ATTEMPTS)
    monkeypatch.setattr(passwords, "matches", lambda *_: pytest.fail("a hash was computed"))
    with pytest.raises(RateLimited):
        town.sign_in("nobody", address="10.0.0.1")


def test_sign_in_attempts_are_unlimited_with_rate_limits_off(found):
    guess(found(rate_limits=False), "nobody", times=limits.FREE_ATTEMPTS + 1)


def test_session_lookups_see_later_commits(busy_town):
    town = busy_town
    for n in range(6):
        signed_in = town.sign_up(f"user-{n}")
        assert [town.caller(signed_in.token).username for _ in range(4)] == [f"user-{n}"] * 4


def test_sign_ups_beyond_the_password_hash_queue_limit_are_refused(busy_town):
    town = busy_town
    futures = [
        town.accounts.access.sign_up(f"user-{n}", PASSWORD, ClientInfo("curl", f"10.0.{n}.1")) for n in range(200)
    ]
    outcomes = []
    for future in futures:
        try:
            outcomes.append(town.wait(future).user.username)
        except RateLimited:
            outcomes.append(None)
    assert 64 <= len([name for name in outcomes if name]) < 200
