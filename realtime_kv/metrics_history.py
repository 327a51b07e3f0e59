"""Metrics history: the last quarter of an hour, one row every five seconds, in memory and bounded.

It shows how the server reached its present state; nothing of it survives a restart.
"""

import contextlib
import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from realtime_kv.concurrency.fair_pool import FairWorkerPool
from realtime_kv.concurrency.runtime import Future, Runtime, repeat
from realtime_kv.core.backend import BackendReader
from realtime_kv.core.statements import RetentionStatements
from realtime_kv.errors import Unavailable
from realtime_kv.metrics.latency import LatencyStats

log = logging.getLogger(__name__)

SECONDS = 5
ROWS = 15 * 60 // SECONDS

# users' disk use besides live keys
HELD = ("history_bytes", "receipt_bytes", "trash_bytes", "vacuum_due")

Figures = Mapping[str, float]


@dataclass(frozen=True)
class MetricsSample:
    """The metrics at one moment (milliseconds, monotonic), with rates per second since the previous row."""

    at: int
    figures: Figures


class MetricsHistory:
    """Records metrics: `figures` returns the server's by name, `database` is its file, `steady` a monotonic clock."""

    def __init__(
        self,
        runtime: Runtime,
        readers: FairWorkerPool,
        latency: LatencyStats,
        figures: Callable[[], Figures],
        database: Path | None,
        steady: Callable[[], int],
    ) -> None:
        self._readers = readers
        self._latency = latency
        self._figures = figures
        self._database = database
        self._steady = steady
        self.started_at = steady()
        self.rows: deque[MetricsSample] = deque(maxlen=ROWS)
        self._before = (steady(), latency.verbs)
        repeat(runtime, SECONDS, self.sample)

    def sample(self) -> None:
        """Record one row."""
        at, verbs, latencies = self._steady(), self._latency.verbs, self._latency.sample()
        rate, self._before = self._rate(at), (at, verbs)
        figures = {**self._figures(), **latencies, "verbs_per_second": rate}
        # a stopping server records nothing any more
        with contextlib.suppress(Unavailable):
            self._row(at, figures).then(lambda row: self.rows.append(row.result()))

    def now(self) -> Future[MetricsSample]:
        """Return the current metrics; the verbs per second are counted since the last row."""
        at = self._steady()
        # an interval that has just begun has no meaningful rate
        begun = at - self._before[0] >= 1000 or not self.rows
        rate = self._rate(at) if begun else self.rows[-1].figures["verbs_per_second"]
        return self._row(at, {**self._figures(), "verbs_per_second": rate})

    def metrics(self) -> dict[str, float]:
        """Return the last row's metrics of the disk."""
        figures: Figures = self.rows[-1].figures if self.rows else {}
        return {name: figures[name] for name in HELD if name in figures}

    def _rate(self, now: int) -> float:
        before, verbs_before = self._before
        return 1000 * (self._latency.verbs - verbs_before) / max(1, now - before)

    def _row(self, at: int, figures: Figures) -> Future[MetricsSample]:
        """Return the metrics with the system's figures of files, disk and memory, read on a thread that may block."""
        answer: Future[MetricsSample] = Future()

        def complete(asked: Future[Figures]) -> None:
            answer.resolve(MetricsSample(at, {**figures, **({} if asked.failed else asked.result())}))

        def ask(reader: BackendReader) -> Figures:
            figures = _of_system(self._database)
            try:
                # a file's size is known without a statement
                size = (
                    {} if self._database is not None else {"database_bytes": float(reader.retention.database_bytes())}
                )
                return {**figures, **size, **_of_spaces(reader.retention)}
            except Exception as error:  # the system's figures are needed most while the database cannot be read
                log.warning("the disk use of the spaces is unknown: %r", error)
                return figures

        self._readers.submit(ask).then(complete)
        return answer


def _of_system(database: Path | None) -> Figures:
    return {
        **({} if database is None else _of_file(database)),
        "memory_bytes": _memory(),
        "cpu_seconds_total": time.process_time(),
    }


def _of_file(database: Path) -> Figures:
    return {
        "database_bytes": _size(database),
        "wal_bytes": _size(Path(f"{database}-wal")),
        "disk_free_bytes": shutil.disk_usage(database.parent).free,
    }


def _of_spaces(db: RetentionStatements) -> Figures:
    """Return all users' disk use besides live keys, and whether the file has to be rewritten."""
    history, receipts, trash = db.held_bytes()
    return {
        "history_bytes": history,
        "receipt_bytes": receipts,
        "trash_bytes": trash,
        "vacuum_due": float(db.rewrite_due() is not None),
    }


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        # a checkpoint may just have removed it
        return 0


def _memory() -> int:
    """Return the process's resident memory; 0 if the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGESIZE")
