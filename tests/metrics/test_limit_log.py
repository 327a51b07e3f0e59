"""The limit log: counts by limit and by account, newest first, bounded."""

from realtime_kv.metrics import limit_log
from realtime_kv.metrics.limit_log import LimitLog, LimitReached


def test_refusals_are_counted_per_limit_and_source_and_listed_newest_first():
    now = [1000]
    limits = LimitLog(lambda: now[0])
    limits.record("verbs_per_second", account=1, credential="a")
    now[0] = 2000
    limits.record("frames", network="192.0.2.1")
    now[0] = 3000
    limits.record("verbs_per_second", account=1, credential="a")
    assert limits.recent() == [
        LimitReached("verbs_per_second", 1, "a", None, 1000, 3000, 2),
        LimitReached("frames", None, None, "192.0.2.1", 2000, 2000, 1),
    ]
    assert limits.total == 3


def test_the_least_recently_reached_row_is_evicted_beyond_the_maximum():
    limits = LimitLog(lambda: 0)
    for account in range(limit_log.MAX_ROWS + 5):
        limits.record("tabs", account=account)
        limits.record("tabs", account=0)
    kept = {row.account for row in limits.recent()}
    assert len(kept) == limit_log.MAX_ROWS
    assert 0 in kept
    assert 1 not in kept
