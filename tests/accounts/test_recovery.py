import re

import pytest
from sqlalchemy import select, update

from realtime_kv.accounts import rate_limits as limits
from realtime_kv.accounts.credentials import one_time_tokens, passwords
from realtime_kv.errors import (
    BadRequest,
    Forbidden,
    InvalidCode,
    InvalidCredentials,
    InvalidPassword,
    LinkExpired,
    NotFound,
    PasswordChangeNeeded,
    RateLimited,
    Unauthenticated,
)
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.models import AuditRow, OneTimeLink, User

PASSWORD = "correct horse battery"
NEW = "another good password"
MINUTE = 60 * 1000
HERE = ClientInfo("curl", "10.0.0.1")


@pytest.fixture
def harness(make_harness):
    return make_harness(smtp_url="smtp://localhost", public_url="https://kv.example.org")


@pytest.fixture
def alice(harness):
    return harness.sign_up("Alice")


def recover(harness, code, username="alice", password=NEW, visit=HERE):
    harness.wait(harness.accounts.recovery.by_code(username, code, password, visit))


def by_link(harness, secret, password=NEW):
    harness.wait(harness.accounts.recovery.by_link(secret, password, HERE))


def make_link(harness, signed_in, kind="recovery"):
    return harness.write(
        lambda db: one_time_tokens.make(db, kind, signed_in.user.id, harness.clock.now, harness.accounts.context.tokens)
    ).secret


def actions(harness):
    return harness.write(lambda db: db.execute(select(AuditRow.action).order_by(AuditRow.id)).scalars().all())


def set_email(harness, signed_in, address="alice@example.org", password=PASSWORD):
    harness.wait(harness.accounts.recovery.set_email(harness.caller(signed_in.token), password, address))


def confirm_email(harness):
    secret = re.search(r"/account/email/(\S+)", harness.mails[-1].get_content())[1]
    harness.wait(harness.accounts.recovery.confirm_email(secret))


def ask_mail(harness, username="alice", visit=HERE):
    harness.wait(harness.accounts.recovery.by_mail(username, visit))


def mailed_secret(harness):
    return re.search(r"https://kv\.example\.org/recover/(\S+)", harness.mails[-1].get_content())[1]


@pytest.fixture
def reachable(harness, alice):
    """Alice, with a confirmed address."""
    set_email(harness, alice)
    confirm_email(harness)
    harness.mails.clear()
    return alice


def test_signing_up_gives_ten_recovery_codes_that_work_once_each(harness, alice):
    assert len(set(alice.codes)) == 10
    recover(harness, alice.codes[0].lower().replace("-", " "))
    with pytest.raises(InvalidCode):
        recover(harness, alice.codes[0])
    recover(harness, alice.codes[1], password="yet another password")
    assert harness.sign_in("alice", "yet another password")


def test_recovery_ends_all_sessions_and_links_and_leaves_a_notice_to_dismiss(harness, alice):
    phone, link = harness.sign_in("alice"), make_link(harness, alice)
    recover(harness, alice.codes[0])
    assert [end.reason for end in harness.ended] == ["password_changed"] * 2
    for token in (alice.token, phone.token):
        with pytest.raises(Unauthenticated):
            harness.caller(token)
    with pytest.raises(LinkExpired):
        by_link(harness, link)
    told = (harness.clock.now, "code")
    harness.clock.now += MINUTE
    assert harness.sign_in("alice", NEW).recovered == told
    signed_in = harness.sign_in("alice", NEW)
    assert signed_in.recovered == told
    caller, own = harness.caller(signed_in.token), harness.accounts.own
    assert harness.wait(own.recovery_notice(caller)) == harness.wait(own.profile(caller)).notice == told
    harness.wait(own.dismiss_notice(caller))
    assert harness.wait(own.recovery_notice(caller)) is None
    assert harness.sign_in("alice", NEW).recovered is None


def test_api_tokens_survive_a_recovery(harness, alice):
    made = harness.wait(
        harness.accounts.tokens.create(harness.caller(alice.token), "script", "read", None, None, ClientInfo())
    )
    recover(harness, alice.codes[0])
    assert harness.caller(made.token).kind == "token"


@pytest.mark.parametrize("username", ["nobody", "", "al\x00ice", "\ud800", "x" * 100_000, "Kelvin"])
def test_an_unknown_name_is_answered_like_a_wrong_code(harness, alice, username):
    for code in [alice.codes[0], "AAAAAA-AAAAAA-AAAAAA-AAAAAA", "", "\ud800", "x" * 100_000]:
        with pytest.raises(InvalidCode) as unknown:
            recover(harness, code, username, visit=ClientInfo("curl", f"10.1.0.{len(code) % 250}"))
    with pytest.raises(InvalidCode) as wrong:
        recover(harness, "AAAAAA-AAAAAA-AAAAAA-AAAAAA")
    assert unknown.value.body() == wrong.value.body()


def test_known_names_and_unknown_ones_cost_the_same_work(make_harness, monkeypatch):
    harness = make_harness(rate_limits=False)
    harness.sign_up("alice")
    hashed, digest = [], passwords.digest
    monkeypatch.setattr(passwords, "digest", lambda password: hashed.append(password) or digest(password))
    for username in ("alice", "nobody"):
        with pytest.raises(InvalidCode):
            recover(harness, "AAAAAA-AAAAAA-AAAAAA-AAAAAA", username)
    assert hashed == [NEW, NEW]
    assert actions(harness)[-2:] == ["recovery_failed"] * 2


def test_an_invalid_password_is_refused_before_the_lookup_and_uses_up_no_code(harness, alice):
    for username in ("alice", "nobody"):
        for bad in ["short", "password1", "\ud800" * 8]:
            with pytest.raises(InvalidPassword):
                recover(harness, alice.codes[0], username, bad, ClientInfo("curl", f"10.2.{len(bad)}.1"))
    recover(harness, alice.codes[0])


def test_code_guessing_is_throttled_for_known_and_unknown_names(harness, alice):
    for username in ("alice", "nobody"):
        for _ in range(limits.FREE_ATTEMPTS):
            with pytest.raises(InvalidCode):
                recover(harness, "wrong", username)
        with pytest.raises(RateLimited):
            recover(harness, alice.codes[0], username)
    recover(harness, alice.codes[0], visit=ClientInfo("curl", "10.0.0.2"))


def test_renewing_codes_requires_the_password_and_invalidates_the_old_codes(harness, alice):
    caller, recovery = harness.caller(alice.token), harness.accounts.recovery
    with pytest.raises(InvalidCredentials):
        harness.wait(recovery.renew_codes(caller, NEW))
    made = harness.wait(recovery.renew_codes(caller, PASSWORD))
    assert len(set(made) | set(alice.codes)) == 20
    with pytest.raises(InvalidCode):
        recover(harness, alice.codes[0])
    recover(harness, made[0])


def test_a_link_sets_a_password_once_and_within_thirty_minutes(harness, alice):
    secret = make_link(harness, alice)
    assert harness.wait(harness.accounts.recovery.who(secret)) == "Alice"
    with pytest.raises(InvalidPassword):
        by_link(harness, secret, "short")
    by_link(harness, secret)
    assert harness.sign_in("alice", NEW).recovered == (harness.clock.now, "link")
    for use in (lambda: by_link(harness, secret), lambda: harness.wait(harness.accounts.recovery.who(secret))):
        with pytest.raises(LinkExpired):
            use()
    late = make_link(harness, alice)
    harness.clock.now += 30 * MINUTE
    with pytest.raises(LinkExpired):
        by_link(harness, late)


@pytest.mark.parametrize("secret", ["", "x", "\ud800", "x" * 100_000, "\x00"])
def test_an_unknown_link_is_refused_as_expired(harness, alice, secret):
    with pytest.raises(LinkExpired):
        by_link(harness, secret)
    with pytest.raises(LinkExpired):
        harness.wait(harness.accounts.recovery.confirm_email(secret))


def test_a_ticket_of_another_kind_sets_no_password(harness, alice):
    for kind in ("second_step", "email", "setup"):
        with pytest.raises(LinkExpired):
            by_link(harness, make_link(harness, alice, kind))


def test_a_temporary_password_allows_only_setting_a_different_password(harness, alice):
    harness.write(lambda db: db.execute(update(User).values(must_change_password=True)) and None)
    with pytest.raises(PasswordChangeNeeded) as owed:
        harness.sign_in("alice")
    assert owed.value.extra.keys() == {"ticket", "expires_at"}
    with pytest.raises(InvalidPassword, match="Choose a password other than"):
        by_link(harness, owed.value.extra["ticket"], PASSWORD)
    by_link(harness, owed.value.extra["ticket"])
    signed_in = harness.sign_in("alice", NEW)
    assert signed_in.recovered is None
    assert "password_changed" in actions(harness)


def test_a_disabled_user_cannot_recover_the_account(harness, alice):
    secret = make_link(harness, alice)
    harness.write(lambda db: db.execute(update(User).values(disabled_at=harness.clock.now)) and None)
    with pytest.raises(InvalidCode):
        recover(harness, alice.codes[0])
    with pytest.raises(LinkExpired):
        by_link(harness, secret)


# mail


def test_an_email_address_takes_effect_only_after_its_link_is_opened(harness, alice):
    set_email(harness, alice)
    caller = harness.caller(alice.token)
    assert harness.mails[-1]["To"] == "alice@example.org"
    assert harness.wait(harness.accounts.own.profile(caller)).email is None
    ask_mail(harness)
    assert len(harness.mails) == 1
    confirm_email(harness)
    assert harness.wait(harness.accounts.own.profile(caller)).email == "alice@example.org"
    with pytest.raises(LinkExpired):
        confirm_email(harness)


def test_only_the_address_that_was_set_last_can_be_confirmed(harness, alice):
    set_email(harness, alice, "first@example.org")
    first = re.search(r"/account/email/(\S+)", harness.mails[-1].get_content())[1]
    set_email(harness, alice, "second@example.org")
    with pytest.raises(LinkExpired):
        harness.wait(harness.accounts.recovery.confirm_email(first))
    confirm_email(harness)
    assert harness.wait(harness.accounts.own.profile(harness.caller(alice.token))).email == "second@example.org"


def test_changing_or_removing_the_address_notifies_the_old_address(harness, reachable):
    set_email(harness, reachable, "new@example.org")
    confirm_email(harness)
    assert (harness.mails[-1]["To"], harness.mails[-1]["Subject"]) == (
        "alice@example.org",
        "Your email address was changed (kv.example.org)",
    )
    set_email(harness, reachable, "")
    assert harness.mails[-1]["To"] == "new@example.org"
    assert harness.wait(harness.accounts.own.profile(harness.caller(reachable.token))).email is None


@pytest.mark.parametrize(
    "address",
    ["alice", "@", "a@", "@b", "a b@c.org", "a@b@c", "a@c.org\nBcc: x@y.z", "a@-c.org", "\ud800@c.org", "a" * 300,
     "a@" + "b." * 200, "ä@c.org", "a@c.org,x@y.z", "<a@c.org>", "a@" + "x" * 64],
)  # fmt: skip
def test_an_invalid_email_address_is_refused_and_nothing_is_sent(harness, alice, address):
    with pytest.raises(BadRequest):
        set_email(harness, alice, address)
    assert harness.mails == []


def test_setting_an_address_requires_the_password(harness, alice):
    with pytest.raises(InvalidCredentials):
        set_email(harness, alice, password=NEW)
    assert harness.mails == []


def test_an_emailed_link_sets_a_password_and_the_user_is_notified_by_email(harness, reachable):
    ask_mail(harness, "ALICE")
    message = harness.mails[-1]
    assert (message["To"], message["From"]) == ("alice@example.org", "realtime_kv@kv.example.org")
    by_link(harness, mailed_secret(harness))
    assert harness.sign_in("alice", NEW).recovered == (harness.clock.now, "mail")
    assert harness.mails[-1]["Subject"] == "Your password was reset (kv.example.org)"


def test_a_link_in_an_encoded_email_stays_on_one_line(harness, reachable):
    set_email(harness, reachable, "new@example.org")
    assert re.search(r"^https://kv\.example\.org/account/email/[\w-]{43}$", harness.mails[-1].as_string(), re.MULTILINE)


def test_names_without_an_address_get_no_email_but_the_same_answer(harness, reachable):
    harness.sign_up("bob")
    for username in ["bob", "nobody", "", "\ud800", "x" * 100_000]:
        ask_mail(harness, username)
    assert harness.mails == []
    assert actions(harness)[-5:] == ["recovery_failed"] * 5


def test_unauthenticated_recovery_requests_send_few_emails_and_keep_links_valid(harness, reachable):
    secret = make_link(harness, reachable)
    ask_mail(harness)
    first = mailed_secret(harness)
    for n in range(10):
        ask_mail(harness, visit=ClientInfo("curl", f"10.3.0.{n}"))
    assert len(harness.mails) == limits.MAIL.burst
    assert harness.wait(harness.accounts.recovery.who(secret)) == "Alice"
    by_link(harness, first)


def test_recovery_email_requests_are_throttled_equally_for_every_name(harness, reachable):
    for username in ("alice", "nobody"):
        for _ in range(limits.FREE_ATTEMPTS):
            ask_mail(harness, username)
        with pytest.raises(RateLimited):
            ask_mail(harness, username)


def test_an_email_failure_is_logged_without_the_address_and_not_raised(make_harness, caplog):
    harness = make_harness(smtp_url="smtp://localhost")
    alice = harness.sign_up("alice")

    def fail(message):
        raise OSError(f"cannot reach {message['To']}")

    harness.accounts._mail._send = fail
    set_email(harness, alice)
    assert "an email could not be sent: OSError" in caplog.text
    assert "alice@example.org" not in caplog.text


def test_email_requests_fail_with_not_found_without_a_mail_server(make_harness):
    harness = make_harness()
    alice = harness.sign_up("alice")
    assert not harness.accounts.recovery.mail_enabled
    for username in ("alice", "nobody"):
        with pytest.raises(NotFound):
            ask_mail(harness, username)
    with pytest.raises(NotFound):
        set_email(harness, alice)


def test_links_are_stored_only_as_hashes(harness, reachable):
    ask_mail(harness)
    secret = mailed_secret(harness)
    rows = harness.write(lambda db: db.execute(select(OneTimeLink.__table__)).all())
    assert all(secret not in str(value) for row in rows for value in row)


def test_an_api_token_cannot_renew_codes_or_set_the_address(harness, alice):
    made = harness.wait(
        harness.accounts.tokens.create(harness.caller(alice.token), "script", "write", None, None, ClientInfo())
    )
    caller, recovery = harness.caller(made.token), harness.accounts.recovery
    for call in [recovery.renew_codes(caller, PASSWORD), recovery.set_email(caller, PASSWORD, "a@example.org")]:
        with pytest.raises(Forbidden):
            harness.wait(call)


def test_confirmation_emails_are_limited_per_network_across_accounts(harness):
    visit = ClientInfo("curl", "10.0.0.1")
    people = [harness.sign_up(f"user-{n}") for n in range(limits.MAIL_ELSEWHERE.burst + 1)]

    def bother(signed_in, visit):
        caller = harness.caller(signed_in.token)
        harness.wait(harness.accounts.recovery.set_email(caller, PASSWORD, "victim@example.org", visit))

    for signed_in in people[:-1]:
        bother(signed_in, visit)
    with pytest.raises(RateLimited):
        bother(people[-1], visit)
    assert len(harness.mails) == limits.MAIL_ELSEWHERE.burst
    bother(people[-1], ClientInfo("curl", "10.0.0.2"))


def test_made_up_links_cause_no_write_and_are_throttled(harness, alice, monkeypatch):
    monkeypatch.setattr(harness.store.writer, "_submit_job", lambda *_: pytest.fail("something was written"))
    for call in (
        lambda n: harness.wait(harness.accounts.recovery.confirm_email(f"made up {n}", ClientInfo("curl", "10.0.0.1"))),
        lambda n: harness.wait(harness.accounts.recovery.by_link(f"made up {n}", NEW, ClientInfo("curl", "10.0.0.2"))),
    ):
        for n in range(limits.RECOVER.burst):
            with pytest.raises(LinkExpired):
                call(n)
        with pytest.raises(RateLimited):
            call(0)
