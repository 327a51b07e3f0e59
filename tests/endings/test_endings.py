import random

import pytest

from tests.endings.endings import ENDINGS
from tests.endings.house import House
from tests.endings.trial import trial

# `python3 -m tests.endings` makes any number
TRIALS = 20


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("endings"))
    yield house
    house.close()


def test_session_ended_during_writes_accepts_and_receives_nothing_more(house):
    names = sorted(ENDINGS)
    for number in range(TRIALS):
        outcome = trial(house, random.Random(number), names[number % len(names)])
        assert not outcome.problems, f"trial {number}, {outcome.ending}: {outcome.problems}"
