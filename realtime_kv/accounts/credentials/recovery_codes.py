"""Recovery codes: ten single-use codes per user, for account recovery and as the alternative second step.

Each is 120 random bits, so its SHA-256 is enough to keep (OWASP ASVS 5.0, 6.5.2 asks for a slow hash below 112).
"""

import base64
import re
from collections.abc import Callable

from sqlalchemy import Connection, delete, func, insert, select, update

from realtime_kv.accounts.credentials.sessions import token_hash
from realtime_kv.storage.models import RecoveryCode

COUNT = 10
_BYTES = 15
# base32, with look-alike characters mapped; typed in any case, with or without hyphens
_READ_AS = str.maketrans("018", "OLB")
_CODE = re.compile(r"[A-Z2-7]{24}")


def renew(connection: Connection, user_id: int, tokens: Callable[[int], bytes]) -> tuple[str, ...]:
    """Replace the user's codes by ten new ones and return them; only their hashes are kept."""
    made = tuple(_shown(tokens(_BYTES)) for _ in range(COUNT))
    connection.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    rows = [{"user_id": user_id, "code_hash": _hash(code)} for code in made]
    connection.execute(insert(RecoveryCode), rows)
    return made


def use(connection: Connection, user_id: int, typed: str, now: int) -> bool:
    """Mark this code as used; return whether it was an unused code of the user."""
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
    """Return how many unused codes the user has."""
    counted = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return connection.execute(counted).scalar_one()


def plain(typed: str) -> str | None:
    """Return the normalized code, for comparison; None for text that cannot be a code."""
    if len(typed) > 64:
        return None
    code = re.sub(r"[\s-]", "", typed).upper().translate(_READ_AS)
    return code if _CODE.fullmatch(code) else None


def _shown(raw: bytes) -> str:
    code = base64.b32encode(raw).decode()
    return "-".join(code[at : at + 6] for at in range(0, len(code), 6))


def _hash(code: str) -> bytes:
    return token_hash(code.replace("-", ""))
