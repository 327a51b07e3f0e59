"""Budget of wrong second-step codes: 100 for an account (NIST SP 800-63B 5.2.2), then only a recovery code counts.

An attacker who knows the password can guess six digits in time, however slow each guess is. So wrong codes are counted
in the database, by network: neither waiting nor a restart resets the count.

Invariants:
1. A correct code from a network resets the count of that network only: the owner's sign-ins give nobody new guesses.
2. A recovery code, the owner's password in a session, a new enrolment or a superuser resets the whole count.
3. Recovery codes are not counted: 120 random bits cannot be guessed.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, cast, delete, func, select

from realtime_kv.storage.models import SecondStepFailures
from realtime_kv.storage.upsert import insert

MAX_FAILURES = 100
# wrong codes during the setup of two-step sign-in; after them it starts again, with the password
MAX_ENROLMENT_FAILURES = 20

# stands for a network: counts wrong codes for a secret that is not in use yet
_ENROLMENT = "enrolment"


@dataclass(frozen=True)
class CodeBudget:
    """The number of wrong codes, and the time of the last one (milliseconds; None: there was none)."""

    failures: int
    last_at: int | None

    @property
    def is_exhausted(self) -> bool:
        return self.failures >= MAX_FAILURES


def of_user(connection: Connection, user_id: int) -> CodeBudget:
    """Return the current budget of the user."""
    total = cast(func.coalesce(func.sum(SecondStepFailures.count), 0), BigInteger)
    counted = select(total, func.max(SecondStepFailures.last_at)).where(
        SecondStepFailures.user_id == user_id, SecondStepFailures.network != _ENROLMENT
    )
    return CodeBudget(*connection.execute(counted).one())


def record_failure(connection: Connection, user_id: int, network: str, now: int) -> CodeBudget:
    """Count one wrong code from this network; return the budget."""
    _count(connection, user_id, network, now)
    return of_user(connection, user_id)


def record_enrolment_failure(connection: Connection, user_id: int, now: int) -> bool:
    """Count one wrong code for a secret that is not confirmed yet; return whether there were too many."""
    _count(connection, user_id, _ENROLMENT, now)
    counted = select(SecondStepFailures.count).where(
        SecondStepFailures.user_id == user_id, SecondStepFailures.network == _ENROLMENT
    )
    return connection.execute(counted).scalar_one() >= MAX_ENROLMENT_FAILURES


def forget_network(connection: Connection, user_id: int, network: str) -> None:
    """Reset the count of this network, after a correct code from it."""
    connection.execute(
        delete(SecondStepFailures).where(SecondStepFailures.user_id == user_id, SecondStepFailures.network == network)
    )


def reset(connection: Connection, user_id: int) -> None:
    """Reset the whole count of the user."""
    connection.execute(delete(SecondStepFailures).where(SecondStepFailures.user_id == user_id))


def _count(connection: Connection, user_id: int, network: str, now: int) -> None:
    one = insert(SecondStepFailures).values(user_id=user_id, network=network, count=1, last_at=now)
    connection.execute(
        one.on_conflict_do_update(
            index_elements=["user_id", "network"], set_={"count": SecondStepFailures.count + 1, "last_at": now}
        )
    )
