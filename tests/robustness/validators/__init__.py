"""One validator per guarantee: it takes the records of a user's tabs and reports violations.

A validator is a function from (history, evidence of one user) to sentences. Validators trust neither the server nor
each other; each has hand-made bad histories in tests/robustness/test_validators.py.
"""

from collections.abc import Callable, Iterator

from tests.robustness.evidence import Evidence, Violation
from tests.robustness.history import History
from tests.robustness.validators import frames, outcomes, real_time, steps, wholes

Validator = Callable[[History, Evidence], Iterator[str]]

GUARANTEES: dict[str, Validator] = {
    "ordered": frames.ordered,
    "unique": frames.unique,
    "gapless": frames.gapless,
    "atomic": wholes.atomic,
    "isolated": wholes.isolated,
    "resumable": steps.resumable,
    "bookmarkable": steps.bookmarkable,
    "linearizable": real_time.linearizable,
    "durable": outcomes.durable,
    "exactly_once": outcomes.exactly_once,
}


def check(history: History) -> list[Violation]:
    """Return all violations of all guarantees."""
    return [
        Violation(guarantee, f"{user}: {what}")
        for user in history.users
        for evidence in [Evidence(user, history.of(user))]
        for guarantee, validator in GUARANTEES.items()
        for what in validator(history, evidence)
    ]
