from realtime_kv.accounts.noticed import MOST, Noticed


def test_what_could_be_an_attempt_is_written_down_and_nothing_else(caplog):
    noticed = Noticed(lambda: 0)
    noticed.note(403, "POST /signin", "1.2.3.4")
    noticed.note(429, "set", "user 7")
    noticed.note(400, "get", "user 8")
    assert [record.getMessage() for record in caplog.records] == [
        "forbidden: POST /signin, by 1.2.3.4",
        "rate_limited: set, by user 7",
    ]


def test_a_flood_is_counted_and_not_written_out(caplog):
    now = 0
    noticed = Noticed(lambda: now)
    for _ in range(1000):
        noticed.note(403, "set", "user 7")
    assert len(caplog.records) == MOST
    now = 60_000
    noticed.note(403, "set", "user 7")
    assert [record.getMessage() for record in caplog.records[MOST:]] == [
        f"{1000 - MOST} more refusals in that minute",
        "forbidden: set, by user 7",
    ]
