"""Recovery codes: ten for each user, good once each, as a way back in and as the second way of the second step.

Each is 120 random bits, so its SHA-256 is enough to keep (OWASP ASVS 5.0, 6.5.2 asks for a slow hash below 112).
"""

import base64
import re
from collections.abc import Callable

from sqlalchemy import Connection, delete, func, insert, select, update

from realtime_kv.accounts.sessions import token_hash
from realtime_kv.core.models import RecoveryCode

COUNT = 10
_BYTES = 15
# base32 without what is read as something else; typed in any case, with or without hyphens
_READ_AS = str.maketrans("018", "OLB")
_CODE = re.compile(r"[A-Z2-7]{24}")


def renew(connection: Connection, user_id: int, tokens: Callable[[int], bytes]) -> tuple[str, ...]:
    """Ten new codes, at the only moment when they are known here; the old ones are gone."""
    made = tuple(_shown(tokens(_BYTES)) for _ in range(COUNT))
    connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    rows = [{"user_id": user_id, "code_hash": _hash(code)} for code in made]
    connection.execute(insert(RecoveryCode), rows)
    return made


def use(connection: Connection, user_id: int, typed: str, now: int) -> bool:
    """Whether this is one of the user's codes that was not used yet; now it is."""
    code = plain(typed)
    if code is None:
        return False
    used = connection.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == token_hash(code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return used.rowcount == 1


def left(connection: Connection, user_id: int) -> int:
    """How many codes the user has left."""
    counted = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return connection.execute(counted).scalar_one()


def plain(typed: str) -> str | None:
    """The code as it is compared; None for what can be none."""
    if len(typed) > 64:
        return None
    code = re.sub(r"[\s-]", "", typed).upper().translate(_READ_AS)
    return code if _CODE.fullmatch(code) else None


def _shown(raw: bytes) -> str:
    code = base64.b32encode(raw).decode()
    return "-".join(code[at : at + 6] for at in range(0, len(code), 6))


def _hash(code: str) -> bytes:
    return token_hash(code.replace("-", ""))
