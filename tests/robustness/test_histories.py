"""A small share of `python3 -m tests.robustness`, which runs for hours: every fault once, kills, tabs cut all the time.

The seeds are printed; nothing here depends on the clock.
"""

import pytest

from tests.robustness.command import KILLS, every_fault
from tests.robustness.runs import Plan, run


def _check(plan: Plan, folder) -> None:
    print(f"seed {plan.seed}")
    done = run(plan, folder)
    print(dict(done.counts))
    assert done.problems == []


@pytest.mark.parametrize("number", [0, 1], ids=["pages as they are", "small pages"])
def test_history_with_every_fault_violates_no_guarantee(number, tmp_path):
    _check(every_fault("tests", number, 600), tmp_path)


def test_kills_at_every_moment_lose_no_acknowledged_write(tmp_path):
    _check(Plan("tests/kills", 900, faults=KILLS), tmp_path)


def test_constantly_disconnected_tabs_miss_no_change(tmp_path):
    _check(Plan("tests/cuts", 600, users=1, tabs=12, faults=[], cut_every=6, pause_every=0, abandon_every=0), tmp_path)
