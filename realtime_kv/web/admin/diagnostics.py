"""/admin/diagnostics: the state of the server in figures, with a line chart where that tells more than a number."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import redirect
from werkzeug.wrappers import Response as AnyResponse

from realtime_kv.core.messages import timestamp
from realtime_kv.errors import Refusal
from realtime_kv.maintenance.reports import State
from realtime_kv.metrics_history import Figures, MetricsSample
from realtime_kv.services import services, wait
from realtime_kv.version import VERSION
from realtime_kv.web.admin import backup, charts, limits
from realtime_kv.web.admin.blueprint import actor, admin, confirm, page
from realtime_kv.web.http import parsing, request_auth
from realtime_kv.web.pages import rendering


@dataclass(frozen=True)
class MetricRow:
    """A figure with a chart: its name, its label, its format, and the figures that the chart draws."""

    name: str
    label: str
    show: Callable[[float], str]
    figures: tuple[str, ...]
    hint: str = ""


def _whole(value: float) -> str:
    return f"{round(value):,}"


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _time(seconds: float) -> str:
    """Format seconds as "0.4 ms", "12 ms" or "1.3 s"; a dash if nothing was measured."""
    if not seconds:
        return "–"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def _bytes(value: float) -> str:
    return rendering.size(round(value))


LINES = (
    MetricRow("tabs", "Open tabs", _whole, ("tabs",)),
    MetricRow("rate", "Operations per second", _rate, ("verbs_per_second",)),
    MetricRow("latency", "Latency, 99th percentile", _time, ("p50", "p99"), "The lower line is the median."),
    MetricRow("queue", "Writes waiting", _whole, ("writes_queued",)),
    MetricRow("memory", "Memory", _bytes, ("memory_bytes",)),
    MetricRow("wal", "Write-ahead log", _bytes, ("wal_bytes",)),
)


@admin.get("/diagnostics")
def diagnostics() -> AnyResponse:
    now = wait(services().metrics_history.now())
    return page(
        "diagnostics.html",
        jump=services().clock_guard.jump(),
        now=services().store.clock(),
        lines=_lines(now.figures),
        width=charts.WIDTH,
        height=charts.HEIGHT,
        **_state(now),
    )


@admin.get("/diagnostics/confirm-time")
def ask_to_confirm_time() -> AnyResponse:
    """Show the effect of confirming the system time."""
    return _confirm_page()


@admin.post("/diagnostics/confirm-time")
def confirm_time() -> AnyResponse:
    """Confirm that the system clock is right after a jump: purge and expiry then go by it."""
    try:
        confirm(request_auth.form())
    except Refusal as refusal:
        return _confirm_page(refusal)
    wait(services().operations.confirm_time(actor()))
    return redirect("/admin/diagnostics", 303)


def _confirm_page(problem: Refusal | None = None) -> AnyResponse:
    jump, now = services().clock_guard.jump(), services().store.clock()
    return page("confirm_time.html", problem, jump=jump, now=now)


@admin.get("/diagnostics.json")
def as_json() -> AnyResponse:
    """Return the contents of the page, for its script to update the page."""
    return parsing.answer(_state(wait(services().metrics_history.now())))


def _state(now: MetricsSample) -> dict[str, Any]:
    """Return all changing contents, formatted: by line, and by the name of the fact."""
    metrics_history = services().metrics_history
    rows, figures = list(metrics_history.rows), now.figures
    drawn = {line.name: charts.chart(rows, now.at, line.figures, line.label, line.show) for line in _lines(figures)}
    headlines = {
        "tabs": _whole(figures["tabs"]),
        "rate": _rate(figures["verbs_per_second"]),
        "latency": _time(figures["latency_p99_seconds"]),
        "queue": _whole(figures["writes_queued"]),
        "memory": _bytes(figures["memory_bytes"]),
        **({"wal": _bytes(figures["wal_bytes"])} if "wal_bytes" in figures else {}),
    }
    return {
        "at": timestamp(services().store.clock()),
        "headlines": headlines,
        "facts": _facts(figures, now.at - metrics_history.started_at) | {"Upkeep": _upkeep(services().store.clock())},
        "limits": limits.recent(services().store.clock()),
        "charts": {
            name: {"paths": chart.paths, "words": chart.words, "most": _of(name).show(chart.most)}
            for name, chart in drawn.items()
        },
    }


def _lines(figures: Figures) -> list[MetricRow]:
    """Return the lines whose figures this database has."""
    return [line for line in LINES if line.name != "wal" or "wal_bytes" in figures]


def _of(name: str) -> MetricRow:
    return next(line for line in LINES if line.name == name)


def _facts(figures: Figures, uptime: int) -> dict[str, dict[str, str]]:
    """Return the figures that are shown as text, in groups."""
    product, version = services().store.backend.product
    return {
        "Work": {
            "Users with open tabs": _whole(figures["users_connected"]),
            "Operations since the start": _whole(figures["verbs_total"]),
            "Writes since the start": _whole(figures["writes_total"]),
            "Commits since the start": _whole(figures["commits_total"]),
            "Latency, median": _time(figures["latency_p50_seconds"]),
            "Latency, 95th percentile": _time(figures["latency_p95_seconds"]),
            "Longest stall (1 min)": _time(figures.get("hub_stall_max_seconds", 0.0)),
        },
        "Storage": {
            "Database": _stored(figures, "database_bytes"),
            **_disk(figures),
            "Change logs": _stored(figures, "history_bytes"),
            "Receipts": _stored(figures, "receipt_bytes"),
            "Deleted keys": _stored(figures, "trash_bytes"),
        },
        "Server": {
            "Version": VERSION,
            "Running for": _duration(uptime),
            "Processor time": _duration(round(figures["cpu_seconds_total"] * 1000)),
            "Python": platform.python_version(),
            product: version,
        },
    }


def _disk(figures: Figures) -> dict[str, str]:
    """Return the figures of the disk; none if it is the disk of a database server."""
    if "wal_bytes" not in figures:
        return {}
    return {
        "Write-ahead log": _bytes(figures["wal_bytes"]),
        "Free on the disk": _bytes(figures["disk_free_bytes"]),
        "Reserve of free space": _reserve(figures),
    }


def _stored(figures: Figures, name: str) -> str:
    """Format a figure that is read from the database; "unknown" if that is not readable."""
    return _bytes(figures[name]) if name in figures else "unknown"


def _reserve(figures: Figures) -> str:
    wanted = _bytes(figures["disk_reserve_bytes"])
    if figures["disk_low"]:
        return f"{wanted}, and less is free: only deletes are accepted"
    return wanted


def _upkeep(now: int) -> dict[str, str]:
    """Return the facts about the last purge, the last backup and the system clock."""
    state, kept = wait(services().operations.state()), backup.kept()
    purged, early = state.last_purge, state.last_early_purge
    return {
        "Last purge": "not yet" if purged is None else _ago(now - purged.at),
        "Keys removed": "–" if purged is None else _whole(purged.keys),
        "Accounts removed": "–" if purged is None else _whole(purged.users),
        "Duration": "–" if purged is None else _time(purged.seconds),
        "Last early purge": "none" if early is None else _ago(now - early.at),
        "Rewrite of the file pending": _vacuum(state),
        "Last backup on the server": _ago(now - kept[0].at) if kept else "none",
        "System clock": services().clock_guard.explain() or "no jump",
    }


def _vacuum(state: State) -> str:
    if not state.vacuum_due:
        return "no"
    missing = 0 if state.last_purge is None else state.last_purge.needs
    return f"yes, waiting for {_bytes(missing)} of free space" if missing else "yes, by the next purge"


def _ago(ms: int) -> str:
    return f"{_duration(max(0, ms))} ago"


def _duration(ms: int) -> str:
    """Format a duration in its two largest units: "3 d 4 h", "12 min", "8 s"."""
    parts, left = [], ms // 1000
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
