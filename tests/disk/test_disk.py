"""A part of `python3 -m tests.disk`: a smaller disk and smaller limits, until each of them has been reached."""

import pytest

from tests.disk.filesystem import CannotMount, small_disk
from tests.disk.run import MIB, run


def reached(attacks):
    """Return whether the history was trimmed several times, and both other limits have refused."""
    answers = [writer.answers for writer in attacks.values()]
    refused = {code for counter in answers for code in counter}
    return answers[0]["ok"] >= 12 and {"quota_exceeded (receipts)", "quota_exceeded (trash)"} <= refused


def test_one_user_at_full_rate_on_a_small_disk_does_not_harm_other_users(tmp_path):
    try:
        with small_disk(120 * MIB) as disk:
            outcome = run(
                disk,
                tmp_path,
                seconds=300,
                enough=reached,
                RKV_HISTORY_BYTES=str(3 * MIB),
                RKV_TRASH_BYTES=str(MIB),
                RKV_RECEIPT_BYTES=str(40_000),
                RKV_DISK_RESERVE=str(20 * MIB),
            )
    except CannotMount:
        pytest.skip("mounting a file system needs root")
    assert outcome.failures == [], "\n".join(outcome.rows)
