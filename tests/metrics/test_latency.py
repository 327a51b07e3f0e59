"""Latency of verbs: reliable quantiles of the last minute."""

import pytest

from realtime_kv.metrics.latency import BOUNDS, EVERY, QUIET, LatencyStats, quantile


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_latency_quantile_is_accurate_to_within_a_fifth(share):
    latency, times = LatencyStats(), [0.0001 * (n + 1) for n in range(1000)]
    for seconds in times:
        latency.note(seconds)
    true = times[round(share * 1000) - 1]
    found = latency.metrics()[f"latency_p{round(share * 100)}_seconds"]
    assert true <= found <= true * 1.21


def test_quantile_of_no_samples_is_zero_and_outliers_fall_in_the_last_bucket():
    assert quantile([0] * (len(BOUNDS) + 1), 0.99) == 0
    latency = LatencyStats()
    latency.note(10_000)
    latency.note(0)
    assert latency.metrics()["latency_p99_seconds"] == BOUNDS[-1]


def test_latency_quantiles_cover_the_last_minute_and_drop_older_samples():
    latency = LatencyStats(slots=2)
    latency.note(5)
    assert latency.sample()["p50"] > 4
    assert latency.metrics()["latency_p50_seconds"] > 4
    latency.note(0.001)
    latency.sample()
    latency.sample()
    assert latency.metrics()["latency_p99_seconds"] < 0.002
    latency.sample()
    assert latency.metrics()["latency_p99_seconds"] == 0


def test_every_verb_is_timed_at_low_load_and_a_sample_at_high_load():
    latency = LatencyStats()
    assert latency.every == 1
    latency.verbs += QUIET + 1
    latency.sample()
    assert latency.every == EVERY
    latency.verbs += QUIET
    latency.sample()
    assert latency.every == 1
