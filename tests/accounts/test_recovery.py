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
def town(found):
    return found(smtp_url="smtp://localhost", public_url="https://kv.example.org")


@pytest.fixture
def alice(town):
    return town.sign_up("Alice")


def recover(town, code, username="alice", password=NEW, visit=HERE):
    town.wait(town.accounts.recovery.by_code(username, code, password, visit))


def by_link(town, secret, password=NEW):
    town.wait(town.accounts.recovery.by_link(secret, password, HERE))


def make_link(town, signed_in, kind="recovery"):
    return town.write(
        lambda db: one_time_tokens.make(db, kind, signed_in.user.id, town.clock.now, town.accounts.context.tokens)
    ).secret


def actions(town):
    return town.write(lambda db: db.execute(select(AuditRow.action).order_by(AuditRow.id)).scalars().all())


def set_email(town, signed_in, address="alice@example.org", password=PASSWORD):
    town.wait(town.accounts.recovery.set_email(town.caller(signed_in.token), password, address))


def confirm_email(town):
    secret = re.search(r"/account/email/(\S+)", town.mails[-1].get_content())[1]
    town.wait(town.accounts.recovery.confirm_email(secret))


def ask_mail(town, username="alice", visit=HERE):
    town.wait(town.accounts.recovery.by_mail(username, visit))


def mailed_secret(town):
    return re.search(r"https://kv\.example\.org/recover/(\S+)", town.mails[-1].get_content())[1]


@pytest.fixture
def reachable(town, alice):
    """Alice, with a confirmed address."""
    set_email(town, alice)
    confirm_email(town)
    town.mails.clear()
    return alice


def test_signing_up_gives_ten_recovery_codes_that_work_once_each(town, alice):
    assert len(set(alice.codes)) == 10
    recover(town, alice.codes[0].lower().replace("-", " "))
    with pytest.raises(InvalidCode):
        recover(town, alice.codes[0])
    recover(town, alice.codes[1], password="yet another password")
    assert town.sign_in("alice", "yet another password")


def test_recovery_ends_all_sessions_and_links_and_leaves_a_notice_to_dismiss(town, alice):
    phone, link = town.sign_in("alice"), make_link(town, alice)
    recover(town, alice.codes[0])
    assert [end.reason for end in town.ended] == ["password_changed"] * 2
    for token in (alice.token, phone.token):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    with pytest.raises(LinkExpired):
        by_link(town, link)
    told = (town.clock.now, "code")
    town.clock.now += MINUTE
    assert town.sign_in("alice", NEW).recovered == told
    signed_in = town.sign_in("alice", NEW)
    assert signed_in.recovered == told
    caller, own = town.caller(signed_in.token), town.accounts.own
    assert town.wait(own.recovery_notice(caller)) == town.wait(own.profile(caller)).notice == told
    town.wait(own.dismiss_notice(caller))
    assert town.wait(own.recovery_notice(caller)) is None
    assert town.sign_in("alice", NEW).recovered is None


def test_api_tokens_survive_a_recovery(town, alice):
    made = town.wait(town.accounts.tokens.create(town.caller(alice.token), "script", "read", None, None, ClientInfo()))
    recover(town, alice.codes[0])
    assert town.caller(made.token).kind == "token"


@pytest.mark.parametrize("username", ["nobody", "", "al\x00ice", "\ud800", "x" * 100_000, "Kelvin"])
def test_an_unknown_name_is_answered_like_a_wrong_code(town, alice, username):
    for code in [alice.codes[0], "AAAAAA-AAAAAA-AAAAAA-AAAAAA", "", "\ud800", "x" * 100_000]:
        with pytest.raises(InvalidCode) as unknown:
            recover(town, code, username, visit=ClientInfo("curl", f"10.1.0.{len(code) % 250}"))
    with pytest.raises(InvalidCode) as wrong:
        recover(town, "AAAAAA-AAAAAA-AAAAAA-AAAAAA")
    assert unknown.value.body() == wrong.value.body()


def test_known_names_and_unknown_ones_cost_the_same_work(found, monkeypatch):
    town = found(rate_limits=False)
    town.sign_up("alice")
    hashed, digest = [], passwords.digest
    monkeypatch.setattr(passwords, "digest", lambda password: hashed.append(password) or digest(password))
    for username in ("alice", "nobody"):
        with pytest.raises(InvalidCode):
            recover(town, "AAAAAA-AAAAAA-AAAAAA-AAAAAA", username)
    assert hashed == [NEW, NEW]
    assert actions(town)[-2:] == ["recovery_failed"] * 2


def test_an_invalid_password_is_refused_before_the_lookup_and_uses_up_no_code(town, alice):
    for username in ("alice", "nobody"):
        for bad in ["short", "password1", "\ud800" * 8]:
            with pytest.raises(InvalidPassword):
                recover(town, alice.codes[0], username, bad, ClientInfo("curl", f"10.2.{len(bad)}.1"))
    recover(town, alice.codes[0])


def test_code_guessing_is_throttled_for_known_and_unknown_names(town, alice):
    for username in ("alice", "nobody"):
        for _ in range(limits.FREE_ATTEMPTS):
            with pytest.raises(InvalidCode):
                recover(town, "wrong", username)
        with pytest.raises(RateLimited):
            recover(town, alice.codes[0], username)
    recover(town, alice.codes[0], visit=ClientInfo("curl", "10.0.0.2"))


def test_renewing_codes_requires_the_password_and_invalidates_the_old_codes(town, alice):
    caller, recovery = town.caller(alice.token), town.accounts.recovery
    with pytest.raises(InvalidCredentials):
        town.wait(recovery.renew_codes(caller, NEW))
    made = town.wait(recovery.renew_codes(caller, PASSWORD))
    assert len(set(made) | set(alice.codes)) == 20
    with pytest.raises(InvalidCode):
        recover(town, alice.codes[0])
    recover(town, made[0])


def test_a_link_sets_a_password_once_and_within_thirty_minutes(town, alice):
    secret = make_link(town, alice)
    assert town.wait(town.accounts.recovery.who(secret)) == "Alice"
    with pytest.raises(InvalidPassword):
        by_link(town, secret, "short")
    by_link(town, secret)
    assert town.sign_in("alice", NEW).recovered == (town.clock.now, "link")
    for use in (lambda: by_link(town, secret), lambda: town.wait(town.accounts.recovery.who(secret))):
        with pytest.raises(LinkExpired):
            use()
    late = make_link(town, alice)
    town.clock.now += 30 * MINUTE
    with pytest.raises(LinkExpired):
        by_link(town, late)


@pytest.mark.parametrize("secret", ["", "x", "\ud800", "x" * 100_000, "\x00"])
def test_an_unknown_link_is_refused_as_expired(town, alice, secret):
    with pytest.raises(LinkExpired):
        by_link(town, secret)
    with pytest.raises(LinkExpired):
        town.wait(town.accounts.recovery.confirm_email(secret))


def test_a_ticket_of_another_kind_sets_no_password(town, alice):
    for kind in ("second_step", "email", "setup"):
        with pytest.raises(LinkExpired):
            by_link(town, make_link(town, alice, kind))


def test_a_temporary_password_allows_only_setting_a_different_password(town, alice):
    town.write(lambda db: db.execute(update(User).values(must_change_password=True)) and None)
    with pytest.raises(PasswordChangeNeeded) as owed:
        town.sign_in("alice")
    assert owed.value.extra.keys() == {"ticket", "expires_at"}
    with pytest.raises(InvalidPassword, match="Choose another password"):
        by_link(town, owed.value.extra["ticket"], PASSWORD)
    by_link(town, owed.value.extra["ticket"])
    signed_in = town.sign_in("alice", NEW)
    assert signed_in.recovered is None
    assert "password_changed" in actions(town)


def test_a_disabled_user_cannot_recover_the_account(town, alice):
    secret = make_link(town, alice)
    town.write(lambda db: db.execute(update(User).values(disabled_at=town.clock.now)) and None)
    with pytest.raises(InvalidCode):
        recover(town, alice.codes[0])
    with pytest.raises(LinkExpired):
        by_link(town, secret)


# mail


def test_an_email_address_takes_effect_only_after_its_link_is_opened(town, alice):
    set_email(town, alice)
    caller = town.caller(alice.token)
    assert town.mails[-1]["To"] == "alice@example.org"
    assert town.wait(town.accounts.own.profile(caller)).email is None
    ask_mail(town)
    assert len(town.mails) == 1
    confirm_email(town)
    assert town.wait(town.accounts.own.profile(caller)).email == "alice@example.org"
    with pytest.raises(LinkExpired):
        confirm_email(town)


def test_only_the_address_that_was_set_last_can_be_confirmed(town, alice):
    set_email(town, alice, "first@example.org")
    first = re.search(r"/account/email/(\S+)", town.mails[-1].get_content())[1]
    set_email(town, alice, "second@example.org")
    with pytest.raises(LinkExpired):
        town.wait(town.accounts.recovery.confirm_email(first))
    confirm_email(town)
    assert town.wait(town.accounts.own.profile(town.caller(alice.token))).email == "second@example.org"


def test_changing_or_removing_the_address_notifies_the_old_address(town, reachable):
    set_email(town, reachable, "new@example.org")
    confirm_email(town)
    assert (town.mails[-1]["To"], town.mails[-1]["Subject"]) == (
        "alice@example.org",
        "Your mail address was changed (kv.example.org)",
    )
    set_email(town, reachable, "")
    assert town.mails[-1]["To"] == "new@example.org"
    assert town.wait(town.accounts.own.profile(town.caller(reachable.token))).email is None


@pytest.mark.parametrize(
    "address",
    ["alice", "@", "a@", "@b", "a b@c.org", "a@b@c", "a@c.org\nBcc: x@y.z", "a@-c.org", "\ud800@c.org", "a" * 300,
     "a@" + "b." * 200, "ä@c.org", "a@c.org,x@y.z", "<a@c.org>", "a@" + "x" * 64],
)  # fmt: skip
def test_an_invalid_email_address_is_refused_and_nothing_is_sent(town, alice, address):
    with pytest.raises(BadRequest):
        set_email(town, alice, address)
    assert town.mails == []


def test_setting_an_address_requires_the_password(town, alice):
    with pytest.raises(InvalidCredentials):
        set_email(town, alice, password=NEW)
    assert town.mails == []


def test_an_emailed_link_sets_a_password_and_the_user_is_notified_by_email(town, reachable):
    ask_mail(town, "ALICE")
    message = town.mails[-1]
    assert (message["To"], message["From"]) == ("alice@example.org", "realtime_kv@kv.example.org")
    by_link(town, mailed_secret(town))
    assert town.sign_in("alice", NEW).recovered == (town.clock.now, "mail")
    assert town.mails[-1]["Subject"] == "Your password was reset (kv.example.org)"


def test_a_link_in_an_encoded_email_stays_on_one_line(town, reachable):
    set_email(town, reachable, "new@example.org")
    assert re.search(r"^https://kv\.example\.org/account/email/[\w-]{43}$", town.mails[-1].as_string(), re.MULTILINE)


def test_names_without_an_address_get_no_email_but_the_same_answer(town, reachable):
    town.sign_up("bob")
    for username in ["bob", "nobody", "", "\ud800", "x" * 100_000]:
        ask_mail(town, username)
    assert town.mails == []
    assert actions(town)[-5:] == ["recovery_failed"] * 5


def test_unauthenticated_recovery_requests_send_few_emails_and_keep_links_valid(town, reachable):
    secret = make_link(town, reachable)
    ask_mail(town)
    first = mailed_secret(town)
    for n in range(10):
        ask_mail(town, visit=ClientInfo("curl", f"10.3.0.{n}"))
    assert len(town.mails) == limits.MAIL.burst
    assert town.wait(town.accounts.recovery.who(secret)) == "Alice"
    by_link(town, first)


def test_recovery_email_requests_are_throttled_equally_for_every_name(town, reachable):
    for username in ("alice", "nobody"):
        for _ in range(limits.FREE_ATTEMPTS):
            ask_mail(town, username)
        with pytest.raises(RateLimited):
            ask_mail(town, username)


def test_an_email_failure_is_logged_without_the_address_and_not_raised(found, caplog):
    town = found(smtp_url="smtp://localhost")
    alice = town.sign_up("alice")

    def fail(message):
        raise OSError(f"cannot reach {message['To']}")

    town.accounts._mail._send = fail
    set_email(town, alice)
    assert "a mail could not be sent: OSError" in caplog.text
    assert "alice@example.org" not in caplog.text


def test_email_requests_fail_with_not_found_without_a_mail_server(found):
    town = found()
    alice = town.sign_up("alice")
    assert not town.accounts.recovery.mail_enabled
    for username in ("alice", "nobody"):
        with pytest.raises(NotFound):
            ask_mail(town, username)
    with pytest.raises(NotFound):
        set_email(town, alice)


def test_links_are_stored_only_as_hashes(town, reachable):
    ask_mail(town)
    secret = mailed_secret(town)
    rows = town.write(lambda db: db.execute(select(OneTimeLink.__table__)).all())
    assert all(secret not in str(value) for row in rows for value in row)


def test_an_api_token_cannot_renew_codes_or_set_the_address(town, alice):
    made = town.wait(town.accounts.tokens.create(town.caller(alice.token), "script", "write", None, None, ClientInfo()))
    caller, recovery = town.caller(made.token), town.accounts.recovery
    for call in [recovery.renew_codes(caller, PASSWORD), recovery.set_email(caller, PASSWORD, "a@example.org")]:
        with pytest.raises(Forbidden):
            town.wait(call)


def test_confirmation_emails_are_limited_per_network_across_accounts(town):
    visit = ClientInfo("curl", "10.0.0.1")
    people = [town.sign_up(f"user-{n}") for n in range(limits.MAIL_ELSEWHERE.burst + 1)]

    def bother(signed_in, visit):
        caller = town.caller(signed_in.token)
        town.wait(town.accounts.recovery.set_email(caller, PASSWORD, "victim@example.org", visit))

    for signed_in in people[:-1]:
        bother(signed_in, visit)
    with pytest.raises(RateLimited):
        bother(people[-1], visit)
    assert len(town.mails) == limits.MAIL_ELSEWHERE.burst
    bother(people[-1], ClientInfo("curl", "10.0.0.2"))


def test_made_up_links_cause_no_write_and_are_throttled(town, alice, monkeypatch):
    monkeypatch.setattr(town.store.writer, "_submit_job", lambda *_: pytest.fail("something was written"))
    for call in (
        lambda n: town.wait(town.accounts.recovery.confirm_email(f"made up {n}", ClientInfo("curl", "10.0.0.1"))),
        lambda n: town.wait(town.accounts.recovery.by_link(f"made up {n}", NEW, ClientInfo("curl", "10.0.0.2"))),
    ):
        for n in range(limits.RECOVER.burst):
            with pytest.raises(LinkExpired):
                call(n)
        with pytest.raises(RateLimited):
            call(0)
