"""Check of the checker: each defect of a server is noticed by the guarantee that it breaks."""

import pytest

from tests.robustness.command import broken
from tests.robustness.runs import run
from tests.robustness.sabotage import EXPECTED
from tests.robustness.validators import check


@pytest.mark.parametrize("sabotage", EXPECTED)
def test_each_injected_defect_is_detected_by_the_guarantee_that_it_breaks(sabotage, tmp_path):
    done = run(broken(sabotage, "tests"), tmp_path)
    assert EXPECTED[sabotage] in {violation.guarantee for violation in check(done.history)}


def test_unmodified_server_violates_no_guarantee(tmp_path):
    done = run(broken("", "tests"), tmp_path)
    assert check(done.history) == []
    assert done.stuck == []
