import random

import pytest

from tests.revocation.endings import ENDINGS
from tests.revocation.services import Services
from tests.revocation.trial import trial

# `python3 -m tests.revocation` makes any number
TRIALS = 20


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    services = Services(tmp_path_factory.mktemp("revocation"))
    yield services
    services.close()


def test_session_ended_during_writes_accepts_and_receives_nothing_more(services):
    names = sorted(ENDINGS)
    for number in range(TRIALS):
        outcome = trial(services, random.Random(number), names[number % len(names)])
        assert not outcome.problems, f"trial {number}, {outcome.ending}: {outcome.problems}"
