"""TOTP: time-based one-time codes (RFC 6238: SHA-1, six digits, 30 seconds) of authenticator apps; by pyotp.

A code is also valid in the time step before and after, for clocks that are off, and only once: `totp_step` keeps the
last.
"""

import hmac

import pyotp
from sqlalchemy import Connection, select, update

from realtime_kv.storage.models import User

STEP = 30 * 1000
_DRIFT = 1


def new_secret() -> str:
    """Return a secret of 160 random bits, in base32."""
    return pyotp.random_base32()


def address(secret: str, username: str, issuer: str) -> str:
    """Return the content of the QR code: an `otpauth://` address."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)


def matching_step(secret: str, code: str, now: int) -> int | None:
    """Return the time step of this code; None if it is of none near `now` (milliseconds)."""
    if not (len(code) == 6 and code.isascii() and code.isdigit()):
        return None
    totp, current = pyotp.HOTP(secret), now // STEP
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        if hmac.compare_digest(totp.at(step), code):
            return step
    return None


def prepare(connection: Connection, user_id: int, secret: str) -> bool:
    """Store a secret that is not confirmed yet; return False if another one is in use."""
    prepared = connection.execute(
        update(User).where(User.id == user_id, User.totp_confirmed_at.is_(None)).values(totp_secret=secret)
    )
    return prepared.rowcount == 1


def confirm(connection: Connection, user_id: int, code: str, now: int) -> bool:
    """Confirm the prepared secret with one of its codes; return whether the code was correct."""
    prepared = select(User.totp_secret).where(User.id == user_id, User.totp_confirmed_at.is_(None))
    secret = connection.execute(prepared).scalar_one_or_none()
    step = None if secret is None else matching_step(secret, code.replace(" ", ""), now)
    if step is None:
        return False
    connection.execute(update(User).where(User.id == user_id).values(totp_confirmed_at=now, totp_step=step))
    return True


def forget(connection: Connection, user_id: int) -> None:
    """Remove the secret."""
    connection.execute(
        update(User).where(User.id == user_id).values(totp_secret=None, totp_confirmed_at=None, totp_step=None)
    )


def forget_prepared(connection: Connection, user_id: int) -> None:
    """Remove a secret that is not confirmed yet."""
    prepared = (User.id == user_id) & User.totp_confirmed_at.is_(None)
    connection.execute(update(User).where(prepared).values(totp_secret=None))


def use(connection: Connection, user_id: int, code: str, now: int) -> bool:
    """Mark this code as used; return whether it was the user's current and unused code."""
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
