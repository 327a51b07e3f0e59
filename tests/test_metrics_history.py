"""Metrics history: a quarter of an hour of figures in bounded memory."""

from pathlib import Path

from realtime_kv.concurrency.fair_pool import FairWorkerPool
from realtime_kv.concurrency.runtime import InlineRuntime
from realtime_kv.metrics.latency import LatencyStats
from realtime_kv.metrics_history import HELD, ROWS, MetricsHistory
from tests.storage.sqlite.harness import SqliteDatabase


class Watched:
    """A metrics history with a manual clock."""

    def __init__(self, folder):
        self.now, self.latency, self.database = 1_000_000, LatencyStats(), SqliteDatabase(folder)
        self.file = self.database.file
        readers = FairWorkerPool(InlineRuntime(), "reader", threads=1, resource=self.database.open().open_reader)
        self.metrics_history = MetricsHistory(
            InlineRuntime(), readers, self.latency, lambda: {"tabs": 3}, self.file, lambda: self.now
        )

    def pass_by(self, seconds, verbs):
        self.latency.verbs += verbs
        self.now += seconds * 1000
        self.metrics_history.sample()


def test_metrics_row_contains_rates_per_second_and_system_figures(tmp_path):
    watched = Watched(tmp_path)
    watched.pass_by(5, 100)
    row = watched.metrics_history.rows[0]
    assert (row.at, row.figures["verbs_per_second"], row.figures["tabs"]) == (1_005_000, 20, 3)
    assert row.figures["database_bytes"] == watched.file.stat().st_size > 0
    assert row.figures["wal_bytes"] == Path(f"{watched.file}-wal").stat().st_size
    assert row.figures["disk_free_bytes"] > 0 and row.figures["memory_bytes"] > 0
    assert [row.figures[name] for name in HELD] == [0, 0, 0, 0]
    watched.now += 2000
    watched.latency.verbs += 80
    assert watched.metrics_history.now().result().figures["verbs_per_second"] == 40
    watched.now -= 1500
    assert watched.metrics_history.now().result().figures["verbs_per_second"] == 20, "half a second says nothing yet"


def test_metrics_history_keeps_at_most_a_quarter_of_an_hour(tmp_path):
    watched = Watched(tmp_path)
    for _ in range(ROWS + 20):
        watched.pass_by(5, 1)
    assert len(watched.metrics_history.rows) == ROWS == 180
    assert watched.metrics_history.rows[0].at == watched.now - (ROWS - 1) * 5000


def test_failed_database_query_does_not_hide_the_system_figures(tmp_path):
    watched = Watched(tmp_path)
    watched.database.execute("DROP TABLE meta")
    watched.pass_by(5, 5)
    figures = watched.metrics_history.rows[0].figures
    assert figures["database_bytes"] > 0 and figures["disk_free_bytes"] > 0
    assert not set(HELD) & set(figures) and watched.metrics_history.metrics() == {}


def test_missing_database_file_does_not_hide_the_other_figures(tmp_path):
    watched = Watched(tmp_path)
    watched.metrics_history._database = tmp_path / "gone" / "some.db"
    watched.pass_by(5, 5)
    assert watched.metrics_history.rows[0].figures["verbs_per_second"] == 1
