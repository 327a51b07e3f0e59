"""Budget of wrong second-step codes: 100 for an account (NIST SP 800-63B 5.2.2), then only a recovery code counts.

Six digits can be guessed in time by somebody who knows the password, however slow each guess is. So wrong codes are
counted in the database, by network: neither waiting nor a restart ends that.

Invariants:
1. A right code from a network ends the count of that network only: the owner's own sign-ins give nobody new guesses.
2. The count ends with a recovery code, the owner's password in a session, a new enrolment, or an act of a superuser.
3. Recovery codes are not counted: 120 random bits cannot be guessed.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from realtime_kv.core.models import SecondStepFailures

MAX_FAILURES = 100
# wrong codes while two-step sign-in is being set up; then it begins again, with the password
MAX_ENROLMENT_FAILURES = 20

# stands for a network where codes of a secret are counted that is not in use yet
_ENROLMENT = "enrolment"


@dataclass(frozen=True)
class CodeBudget:
    """How many wrong codes there were, and when the last one came (milliseconds; None: there was none)."""

    failures: int
    last_at: int | None

    @property
    def is_exhausted(self) -> bool:
        return self.failures >= MAX_FAILURES


def of_user(connection: Connection, user_id: int) -> CodeBudget:
    """The budget as it stands."""
    counted = select(func.coalesce(func.sum(SecondStepFailures.count), 0), func.max(SecondStepFailures.last_at)).where(
        SecondStepFailures.user_id == user_id, SecondStepFailures.network != _ENROLMENT
    )
    return CodeBudget(*connection.execute(counted).one())


def record_failure(connection: Connection, user_id: int, network: str, now: int) -> CodeBudget:
    """One wrong code more, from this network."""
    _count(connection, user_id, network, now)
    return of_user(connection, user_id)


def record_enrolment_failure(connection: Connection, user_id: int, now: int) -> bool:
    """One wrong code more for a secret that is yet to be confirmed; whether there were too many."""
    _count(connection, user_id, _ENROLMENT, now)
    counted = select(SecondStepFailures.count).where(
        SecondStepFailures.user_id == user_id, SecondStepFailures.network == _ENROLMENT
    )
    return connection.execute(counted).scalar_one() >= MAX_ENROLMENT_FAILURES


def forget_network(connection: Connection, user_id: int, network: str) -> None:
    """A right code came from this network."""
    connection.execute(
        delete(SecondStepFailures).where(SecondStepFailures.user_id == user_id, SecondStepFailures.network == network)
    )


def reset(connection: Connection, user_id: int) -> None:
    """Start counting anew."""
    connection.execute(delete(SecondStepFailures).where(SecondStepFailures.user_id == user_id))


def _count(connection: Connection, user_id: int, network: str, now: int) -> None:
    one = insert(SecondStepFailures).values(user_id=user_id, network=network, count=1, last_at=now)
    connection.execute(
        one.on_conflict_do_update(
            index_elements=["user_id", "network"], set_={"count": SecondStepFailures.count + 1, "last_at": now}
        )
    )
