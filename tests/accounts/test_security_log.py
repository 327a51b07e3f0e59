from realtime_kv.metrics.security_log import MAX_LINES, SecurityLog


def test_only_forbidden_and_rate_limited_requests_are_logged(caplog):
    noticed = SecurityLog(lambda: 0)
    noticed.note(403, "POST /signin", "1.2.3.4")
    noticed.note(429, "set", "user 7")
    noticed.note(400, "get", "user 8")
    assert [record.getMessage() for record in caplog.records] == [
        "forbidden: POST /signin, by 1.2.3.4",
        "rate_limited: set, by user 7",
    ]


def test_refusals_beyond_the_limit_per_minute_are_logged_as_a_count(caplog):
    now = 0
    noticed = SecurityLog(lambda: now)
    for _ in range(1000):
        noticed.note(403, "set", "user 7")
    assert len(caplog.records) == MAX_LINES
    now = 60_000
    noticed.note(403, "set", "user 7")
    assert [record.getMessage() for record in caplog.records[MAX_LINES:]] == [
        f"{1000 - MAX_LINES} more refusals in that minute",
        "forbidden: set, by user 7",
    ]
