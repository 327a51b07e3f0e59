"""Outgoing mail: texts and delivery, on threads of its own, because a mail server may be slow.

No caller waits for a mail or learns whether it was sent. Failures are logged, without addresses and links.
"""

import logging
import random
import re
import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from realtime_kv.concurrency.runtime import Future, Runtime, WorkerPool
from realtime_kv.config import Config
from realtime_kv.errors import BadRequest, RateLimited, Refusal

log = logging.getLogger(__name__)

Send = Callable[[EmailMessage], None]

SECONDS = 15
SPREAD_SECONDS = 3.0
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"smtp": 587, "smtps": 465}
# valid in a header and an SMTP command as it is; other characters would need a server that speaks SMTPUTF8
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{3,254}}$)[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")

RECOVERY = """\
Someone, probably you, asked to recover the account {username} at {site}.

To choose a new password, open this within 30 minutes:

{site}/recover/{secret}

If it was not you, ignore this email: without it, nobody can use the link.
"""
CONFIRM = """\
The account {username} at {site} is about to use this address for its recovery links.

To confirm the address, open this within 24 hours:

{site}/account/email/{secret}

If it was not you, ignore this email: no other will follow.
"""
RECOVERED = """\
The account {username} at {site} has a new password, and has been signed out everywhere.

If it was not you, choose another one at once, with a recovery code or a new email:

{site}/recover
"""
CODES_BLOCKED = """\
Someone who knows the password of the account {username} at {site} has sent
100 wrong codes for the second step of signing in. Codes of the authenticator are
no longer accepted: to sign in, use one of your recovery codes.

If it was not you, change your password at once:

{site}/account/security
"""
MOVED = """\
The account {username} at {site} sends its recovery links to another address from now on.

If it was not you, sign in and change your password at once:

{site}/signin
"""


class Mail:
    """Sends mail to users; does nothing unless there is a way to `send`."""

    def __init__(self, config: Config, runtime: Runtime, send: Send | None = None) -> None:
        self._config = config
        self._send = send or smtp(config)
        self._thread = WorkerPool(runtime, 2, name="mail", queue_limit=256, on_full=RateLimited) if self._send else None

    @property
    def enabled(self) -> bool:
        """Return whether there is a way to send."""
        return self._send is not None

    def recovery(self, to: str, username: str, secret: str) -> None:
        """Send the link that sets a new password."""
        self._post(to, "Choose a new password", RECOVERY, username, secret)

    def confirmation(self, to: str, username: str, secret: str) -> None:
        """Send the link that confirms the address."""
        self._post(to, "Confirm this address", CONFIRM, username, secret)

    def recovered(self, to: str, username: str) -> None:
        """Send a notice that the password was reset."""
        self._post(to, "Your password was reset", RECOVERED, username)

    def codes_blocked(self, to: str, username: str) -> None:
        """Send a notice that codes of the authenticator are no longer accepted."""
        self._post(to, "Too many wrong codes", CODES_BLOCKED, username)

    def moved(self, to: str, username: str) -> None:
        """Send a notice of the new address to the old one."""
        self._post(to, "Your email address was changed", MOVED, username)

    def stop(self) -> None:
        """Stop accepting mail, without waiting for a slow mail server."""
        if self._thread:
            self._thread.stop(wait=False)

    def _post(self, to: str, subject: str, text: str, username: str, secret: str = "") -> None:
        send, thread = self._send, self._thread
        if send is None or thread is None:
            return
        words = {"username": username, "site": self._config.url, "secret": secret}
        try:
            thread.submit(lambda _: send(self._message(to, subject, text.format(**words)))).then(_note)
        except Refusal:
            log.warning("an email was not sent: too many are waiting")

    def _message(self, to: str, subject: str, text: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = sender = self._config.mail_from or _own_address(self._config)
        message["To"] = to
        message["Subject"] = f"{subject} ({urlsplit(self._config.url).hostname})"
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
        # so that no machine answers (RFC 3834)
        message["Auto-Submitted"] = "auto-generated"
        # unencoded: an encoded long link would be broken in two wherever the text is read raw
        message.set_content(text, cte="7bit" if text.isascii() else None)
        return message


def check(address: str) -> str:
    """Return the address unchanged. Raises BadRequest if it is not valid."""
    if not _ADDRESS.fullmatch(address):
        raise BadRequest("That is not a valid email address, such as ada@example.org.", field="email")
    return address


def smtp(config: Config, spread: float = SPREAD_SECONDS) -> Send | None:
    """Return a function that sends as `RKV_SMTP_URL` says, over the network only with TLS; None if it is not set."""
    if not config.smtp_url:
        return None
    parts = urlsplit(config.smtp_url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]

    def send(message: EmailMessage) -> None:
        # random delay: the load of sending must not show in the response times that follow
        time.sleep(random.uniform(0, spread))  # noqa: S311 (not a secret)
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if parts.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=SECONDS)
        with server:
            if parts.scheme == "smtp" and host not in _LOCAL:
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)

    return send


def _own_address(config: Config) -> str:
    host = urlsplit(config.url).hostname or "localhost"
    return f"realtime_kv@{host if not re.fullmatch(r'[0-9.]+|.*:.*', host) else 'localhost'}"


def _note(sent: Future[None]) -> None:
    try:
        sent.result()
    except Exception as error:
        # the message of an SMTP error may contain the address
        log.warning("an email could not be sent: %s %s", type(error).__name__, getattr(error, "smtp_code", ""))
