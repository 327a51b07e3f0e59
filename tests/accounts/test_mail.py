"""Sending mail to a mail server on this machine."""

import smtplib

import pytest

from realtime_kv.accounts.mail import Mail, smtp
from realtime_kv.concurrency.runtime import InlineRuntime
from realtime_kv.config import Config
from tests.timing_attacks.mailbox import Mailbox


@pytest.fixture
def open_mailbox():
    mailboxes = []

    def make(host="127.0.0.1"):
        mailboxes.append(Mailbox(host))
        return mailboxes[-1]

    yield make
    for mailbox in mailboxes:
        mailbox.close()


def mail_of(mailbox, **settings):
    config = Config(smtp_url=mailbox.url, public_url="https://kv.example.org", **settings)
    return Mail(config, InlineRuntime(), smtp(config, spread=0))


def test_recovery_email_contains_the_link_and_is_marked_auto_generated(open_mailbox):
    mailbox = open_mailbox()
    mail_of(mailbox, mail_from="kv@example.org").recovery("ada@example.org", "ada", "s3cret")
    arrived = mailbox.next()
    assert "https://kv.example.org/recover/s3cret\r\n" in arrived
    for header in ("From: kv@example.org", "To: ada@example.org", "Auto-Submitted: auto-generated", "Date: "):
        assert f"{header}" in arrived


def test_email_to_a_remote_mail_server_is_refused_without_tls(open_mailbox):
    elsewhere = open_mailbox("127.0.0.2")
    config = Config(smtp_url=elsewhere.url)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        smtp(config, spread=0)(None)
    assert elsewhere.is_empty


def test_an_unreachable_mail_server_is_logged_without_user_or_secret(open_mailbox, caplog):
    mailbox = open_mailbox()
    mail = mail_of(mailbox)
    mailbox.close()
    mail.recovery("ada@example.org", "ada", "s3cret")
    assert "ConnectionRefusedError" in caplog.text
    assert "ada" not in caplog.text and "s3cret" not in caplog.text


def test_email_is_disabled_without_an_smtp_url():
    assert smtp(Config()) is None
    assert not Mail(Config(), InlineRuntime()).enabled
