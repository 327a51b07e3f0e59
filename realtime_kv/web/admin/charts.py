"""Small charts as SVG paths, drawn by the server: they need no script, and a script can update them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from realtime_kv.metrics_history import ROWS, SECONDS, MetricsSample

WIDTH, HEIGHT = ROWS, 48
# keeps the line clear of the edges, which would clip half of its width
_PAD = 2


@dataclass(frozen=True)
class Chart:
    """One path for each figure, in a box of WIDTH × HEIGHT; and a description of the chart in words."""

    paths: dict[str, str]
    most: float
    words: str


def chart(
    rows: Sequence[MetricsSample], now: int, figures: Sequence[str], words: str, show: Callable[[float], str]
) -> Chart:
    """Draw the figures of a quarter of an hour, from 0 up to the highest."""
    values = [row.figures.get(name, 0.0) for row in rows for name in figures]
    most, latest = max(values, default=0.0), [row.figures.get(figures[-1], 0.0) for row in rows[-1:]]
    said = (
        f"{words} of the last 15 minutes: at most {show(most)}, now {show(latest[0])}"
        if latest
        else f"{words}: nothing yet"
    )
    return Chart({name: _path(rows, now, name, most) for name in figures}, most, said)


def _path(rows: Sequence[MetricsSample], now: int, name: str, most: float) -> str:
    """Return a path with one step for each row, and a gap for missing rows."""
    steps, before = [], None
    for row in rows:
        x = WIDTH - (now - row.at) / 1000 / SECONDS
        if x < 0:
            continue
        share = row.figures.get(name, 0.0) / most if most else 0.0
        y = HEIGHT - _PAD - share * (HEIGHT - 2 * _PAD)
        gap = before is None or row.at - before > 4 * SECONDS * 1000
        steps.append(f"{'M' if gap else 'L'}{x:.1f} {y:.1f}")
        before = row.at
    return "".join(steps)
