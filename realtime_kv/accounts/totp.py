"""One-time codes by time (RFC 6238: SHA-1, six digits, 30 seconds), as authenticator apps show them; by pyotp.

A code is good for the time step before and after, for clocks that go wrong, and once: `totp_step` remembers the last.
"""

import hmac

import pyotp
from sqlalchemy import Connection, select, update

from realtime_kv.core.models import User

STEP = 30 * 1000
_DRIFT = 1


def new_secret() -> str:
    """160 random bits, in base32."""
    return pyotp.random_base32()


def address(secret: str, username: str, issuer: str) -> str:
    """What the QR code holds: an `otpauth://` address."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)


def matching_step(secret: str, code: str, now: int) -> int | None:
    """The time step of which this is the code; None if there is none near `now` (milliseconds)."""
    if not (len(code) == 6 and code.isascii() and code.isdigit()):
        return None
    totp, current = pyotp.HOTP(secret), now // STEP
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        if hmac.compare_digest(totp.at(step), code):
            return step
    return None


def prepare(connection: Connection, user_id: int, secret: str) -> bool:
    """Keep a secret that is yet to be confirmed; False when another one is in use."""
    prepared = connection.execute(
        update(User).where(User.id == user_id, User.totp_confirmed_at.is_(None)).values(totp_secret=secret)
    )
    return prepared.rowcount == 1


def confirm(connection: Connection, user_id: int, code: str, now: int) -> bool:
    """Whether this is a code of the secret that was prepared; from now on that is in use."""
    prepared = select(User.totp_secret).where(User.id == user_id, User.totp_confirmed_at.is_(None))
    secret = connection.execute(prepared).scalar_one_or_none()
    step = None if secret is None else matching_step(secret, code.replace(" ", ""), now)
    if step is None:
        return False
    connection.execute(update(User).where(User.id == user_id).values(totp_confirmed_at=now, totp_step=step))
    return True


def forget(connection: Connection, user_id: int) -> None:
    """No secret any more."""
    connection.execute(
        update(User).where(User.id == user_id).values(totp_secret=None, totp_confirmed_at=None, totp_step=None)
    )


def forget_prepared(connection: Connection, user_id: int) -> None:
    """No secret that is yet to be confirmed any more."""
    prepared = (User.id == user_id) & User.totp_confirmed_at.is_(None)
    connection.execute(update(User).where(prepared).values(totp_secret=None))


def use(connection: Connection, user_id: int, code: str, now: int) -> bool:
    """Whether this is the user's code of about now, and was not used before; now it is."""
    row = connection.execute(
        select(User.totp_secret, User.totp_step).where(User.id == user_id, User.totp_confirmed_at.is_not(None))
    ).first()
    if row is None or row[0] is None:
        return False
    step = matching_step(row[0], code.replace(" ", ""), now)
    if step is None or step <= (row[1] or 0):
        return False
    connection.execute(update(User).where(User.id == user_id).values(totp_step=step))
    return True
