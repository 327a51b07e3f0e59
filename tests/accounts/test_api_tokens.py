"""API tokens: created and revoked by signed-in users, and limited to their scope and prefix."""

import re

import pytest
from sqlalchemy import select, text

from realtime_kv.accounts import api_tokens
from realtime_kv.accounts.credentials import sessions
from realtime_kv.errors import BadRequest, Forbidden, InvalidKey, NotFound, QuotaExceeded, Unauthenticated
from realtime_kv.storage.models import AuditRow, UserSession


@pytest.fixture
def alice(harness):
    return harness.caller(harness.sign_up("alice").token)


@pytest.fixture
def create(harness, alice):
    def create(name="a program", *details, by=None):
        return harness.wait(harness.accounts.tokens.create(by or alice, name, *details))

    return create


def names(harness, caller):
    return [shown.name for shown in harness.wait(harness.accounts.tokens.list(caller))]


def test_token_authenticates_its_user_with_its_name_scope_and_prefix(harness, alice, create):
    made = create("Backup job", "read", "notes/")
    assert re.fullmatch(r"rkv_[A-Za-z0-9_-]{43}", made.token)
    caller = harness.caller(made.token)
    assert (caller.user_id, caller.label, caller.session) == (alice.user_id, "Backup job", made.shown.id)
    assert (caller.kind, caller.scope, caller.prefix) == ("token", "read", "notes/")
    assert harness.caller(create().token).scope == "write"


def test_only_the_hash_of_a_token_is_stored(harness, create):
    made = create()
    kept = harness.write(lambda db: db.execute(select(UserSession.token_hash, UserSession.label)).all())
    assert sessions.token_hash(made.token) in [row.token_hash for row in kept]
    dump = harness.write(
        lambda db: [str(row) for t in ("sessions", "audit") for row in db.execute(text(f"SELECT * FROM {t}"))]
    )
    assert not any(made.token in row or made.token[4:] in row for row in dump)


def test_list_shows_active_tokens_without_their_secrets(harness, alice, create):
    made = create("one", "read", "a/", harness.clock.now + 60_000)
    create("two")
    shown, other = harness.wait(harness.accounts.tokens.list(alice))
    assert shown == made.shown
    assert (shown.expires_at, shown.last_used_at, other.expires_at) == (harness.clock.now + 60_000, None, None)
    assert made.token not in repr((shown, other))
    harness.clock.now += 60_000
    assert names(harness, alice) == ["two"]


def test_users_list_and_revoke_only_their_own_tokens(harness, alice, create):
    made = create("hers")
    charlie = harness.caller(harness.sign_up("charlie").token)
    assert names(harness, charlie) == []
    with pytest.raises(NotFound):
        harness.wait(harness.accounts.tokens.revoke(charlie, made.shown.id))
    assert harness.caller(made.token).user_id == alice.user_id


def test_last_use_of_a_token_is_recorded(harness, alice, create):
    made = create()
    harness.clock.now += 5_000
    harness.caller(made.token)
    harness.wait(harness.accounts.flush_last_seen())
    (shown,) = harness.wait(harness.accounts.tokens.list(alice))
    assert shown.last_used_at == harness.clock.now
    # use does not change the expiry
    assert shown.expires_at is None


def test_expired_token_is_rejected_and_its_tabs_are_notified(harness, create):
    made = create("short", "write", None, harness.clock.now + 1_000)
    harness.clock.now += 1_000
    with pytest.raises(Unauthenticated):
        harness.caller(made.token)
    harness.wait(harness.accounts.end_expired())
    assert [ended.reason for ended in harness.ended] == ["expired"]


def test_a_token_that_never_expires_outlives_the_session_that_made_it(harness, create):
    made = create()
    harness.clock.now += 3 * 365 * 24 * 60 * 60 * 1000
    harness.wait(harness.accounts.end_expired())
    assert harness.caller(made.token).kind == "token"


def test_revoked_token_is_rejected_and_its_tabs_are_notified(harness, alice, create):
    made, other = create("one"), create("two")
    harness.wait(harness.accounts.tokens.revoke(alice, made.shown.id))
    with pytest.raises(Unauthenticated):
        harness.caller(made.token)
    assert [(ended.user_id, ended.reason) for ended in harness.ended] == [(alice.user_id, "revoked")]
    assert names(harness, alice) == ["two"]
    assert harness.caller(other.token)
    with pytest.raises(NotFound):
        harness.wait(harness.accounts.tokens.revoke(alice, made.shown.id))


def test_a_session_cannot_be_revoked_as_if_it_were_a_token(harness, alice):
    with pytest.raises(NotFound):
        harness.wait(harness.accounts.tokens.revoke(alice, alice.session))


def test_token_cannot_create_list_or_revoke_tokens(harness, alice, create):
    program = harness.caller(create().token)
    for ask in (
        lambda: create("another", by=program),
        lambda: harness.wait(harness.accounts.tokens.list(program)),
        lambda: harness.wait(harness.accounts.tokens.revoke(program, program.session)),
    ):
        with pytest.raises(Forbidden) as refusal:
            ask()
        assert refusal.value.extra == {"needs": "session"}
    assert names(harness, alice) == ["a program"]


def test_ended_session_cannot_create_or_revoke_tokens(harness, create):
    began = harness.sign_up("charlie")
    charlie = harness.caller(began.token)
    made = create("kept", by=charlie)
    harness.sign_out(began.token)
    with pytest.raises(Unauthenticated):
        create("late", by=charlie)
    with pytest.raises(Unauthenticated):
        harness.wait(harness.accounts.tokens.revoke(charlie, made.shown.id))
    assert names(harness, charlie) == ["kept"]


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb", "a\0", "\x7f", "a\x85b", "a\u2028b"])
def test_a_name_is_1_to_64_printable_characters(create, name):
    with pytest.raises(BadRequest) as refusal:
        create(name)
    assert refusal.value.extra == {"field": "name"}


@pytest.mark.parametrize(
    "name", ["x" * 64, "日" * 64, "👩‍💻 laptop", "<script>alert(1)</script>", 'it\'s "mine" ', "__proto__"]
)
def test_valid_names_are_stored_unchanged(harness, alice, create, name):
    assert create(name).shown.name == name
    assert names(harness, alice) == [name]


@pytest.mark.parametrize("prefix", ["", "a\n", "x" * 513])
def test_prefix_that_no_key_can_have_is_refused(create, prefix):
    with pytest.raises(InvalidKey) as refusal:
        create("p", "write", prefix)
    assert refusal.value.extra["field"] == "prefix"


def test_invalid_scope_or_expiry_is_refused(harness, create):
    for details, field in [
        (("admin",), "scope"),
        (("read", None, harness.clock.now), "expires_at"),
        (("read", None, sessions.NEVER + 1), "expires_at"),
    ]:
        with pytest.raises(BadRequest) as refusal:
            create("p", *details)
        assert refusal.value.extra == {"field": field}


def test_number_of_active_tokens_per_user_is_limited(harness, alice, create, monkeypatch):
    monkeypatch.setattr(api_tokens, "MAX_TOKENS", 3)
    made = [create(f"{n}") for n in range(2)] + [create("short", "write", None, harness.clock.now + 1_000)]
    with pytest.raises(QuotaExceeded) as refusal:
        create("one more")
    assert refusal.value.extra == {"limit": 3, "used": 3}
    harness.wait(harness.accounts.tokens.revoke(alice, made[0].shown.id))
    create("in its place")
    harness.clock.now += 1_000
    create("in the place of one that expired")


def test_audit_log_records_create_and_revoke_without_names_or_secrets(harness, alice, create):
    made = create("very private name", "read", "very/private/")
    harness.wait(harness.accounts.tokens.revoke(alice, made.shown.id))
    rows = harness.write(lambda db: db.execute(select(AuditRow.action, AuditRow.user_id, AuditRow.detail)).all())
    told = [row for row in rows if row.action.startswith("token_")]
    assert [row.action for row in told] == ["token_created", "token_revoked"]
    assert all(row.user_id == alice.user_id and made.shown.id in row.detail for row in told)
    assert "private" not in str(told)
