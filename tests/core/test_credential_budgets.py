"""The share of a user's tabs, streams and exports that API tokens may take, and the rest for the user."""

import dataclasses

import pytest

from realtime_kv.caller import Caller
from realtime_kv.core.domain.credential_budgets import Budget

OWNER = Caller(1, "alice", False, 1, 1, "owner", "Firefox", "socket")


def token(number, user_id=1):
    return dataclasses.replace(OWNER, user_id=user_id, session_id=number, session=f"t{number}", kind="token")


def take_all(budget, caller):
    """Take as many as this caller gets; return the number and the error of the next one."""
    for count in range(1000):
        if (over := budget.exceeded(caller)) is not None:
            return count, over
        budget.take(caller)
    raise AssertionError("there is no limit")


def test_one_token_may_use_a_quarter_and_all_tokens_half_of_the_budget():
    budget = Budget("tabs", 20)
    taken, over = take_all(budget, token(2))
    assert (taken, over.limit) == (5, "tabs_per_token")
    assert over.message == "This token has 5 tabs open and may have 5, a quarter of its user's 20; close some."
    assert take_all(budget, token(3))[0] == 5
    taken, over = take_all(budget, token(4))
    assert (taken, over.limit) == (0, "tabs_of_all_tokens")
    taken, over = take_all(budget, OWNER)
    assert (taken, over.limit) == (10, "tabs_per_user")
    assert over.message == "You have 20 tabs open and may have 20; close some."
    # other users have their own
    assert budget.exceeded(token(9, user_id=2)) is None


def test_released_budget_is_available_again_and_leaves_no_state_behind():
    budget = Budget("tabs", 8)
    callers = [OWNER, token(2), token(2), token(3)]
    for _ in range(3):
        for caller in callers:
            assert budget.exceeded(caller) is None
            budget.take(caller)
        for caller in callers:
            budget.give_back(caller)
    assert budget.total() == 0
    assert not (budget._users or budget._tokens or budget._tokens_of_users)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_smallest_budget_still_allows_one_for_a_token(most):
    assert take_all(Budget("tabs", most), token(2))[0] == 1


def test_sessions_may_use_the_whole_budget():
    budget = Budget("tabs", 4)
    assert take_all(budget, OWNER)[0] == 4
    assert budget.exceeded(token(2)).limit == "tabs_per_user"
