"""Small SVG plots without a library: bars and lines, light and dark, with text alternatives for screen readers.

A plot is an image on a page, so it contains its own style and follows the reader's colour scheme by itself.
"""

import math
from dataclasses import dataclass
from html import escape

_WIDTH, _LEFT, _RIGHT = 720, 64, 24
# in both schemes, the colour of every second series also differs in lightness, not only in hue
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .quiet { fill: #59636e; font-size: 12px }
  .rule { stroke: #d1d9e0; stroke-width: 1 }
  .s0 { fill: #0b6e4f; stroke: #0b6e4f } .s1 { fill: #d97706; stroke: #d97706 } .s2 { fill: #8b95a1; stroke: #8b95a1 }
  .bar { stroke: none } .line { fill: none; stroke-width: 2.5 } .dot { stroke: none }
  .paper { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9ba5b0 }
    .rule { stroke: #30363d }
    .s0 { fill: #3fc98f; stroke: #3fc98f } .s1 { fill: #b8700f; stroke: #b8700f } .s2 { fill: #6e7781; stroke: #6e7781 }
    .paper { fill: #0d1117 }
  }
"""


@dataclass(frozen=True)
class Group:
    """The bars of one scenario, a value for each series; None for a missing value."""

    name: str
    values: list[float | None]


def bars(title: str, description: str, series: list[str], groups: list[Group]) -> str:
    """Return a plot with a bar for each series within each group, and its figure at its end."""
    row, gap, top = 22, 34, 84
    longest = max(value for group in groups for value in group.values if value is not None)
    scale = (_WIDTH - _LEFT - _RIGHT - 70) / longest
    parts, y = [], top
    for group in groups:
        parts.append(_text(_RIGHT, y, group.name))
        y += 8
        for number, value in enumerate(group.values):
            if value is not None:
                width = max(value * scale, 1)
                parts.append(
                    f'<rect class="bar s{number}" x="{_RIGHT}" y="{y}" width="{width:.1f}" height="{row - 5}" rx="3"/>'
                )
                parts.append(_text(_RIGHT + width + 8, y + 13, f"{_figure(value)} {series[number]}", "quiet"))
                y += row
        y += gap
    words = "; ".join(
        f"{group.name}: "
        + ", ".join(f"{name} {_figure(v)}" for name, v in zip(series, group.values, strict=True) if v is not None)
        for group in groups
    )
    return _page(title, f"{description} {words}.", series, parts, y - gap + 20)


def lines(title: str, description: str, labels: list[str], series: dict[str, list[float]]) -> str:
    """Return a plot with a line for each series over these labels, from zero up."""
    top, height = 84, 240
    steps = _steps(max(value for values in series.values() for value in values if not math.isnan(value)))
    scale = height / steps[-1]
    span = (_WIDTH - _LEFT - _RIGHT - 60) / max(len(labels) - 1, 1)
    across = [_LEFT + 20 + span * number for number in range(len(labels))]
    parts = []
    for step in steps:
        y = top + height - step * scale
        parts.append(f'<path class="rule" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 8, y + 4, _figure(step), "quiet", "end"))
    parts += [_text(x, top + height + 22, label, "quiet", "middle") for x, label in zip(across, labels, strict=True)]
    for number, values in enumerate(series.values()):
        points = [
            (x, top + height - value * scale) for x, value in zip(across, values, strict=True) if not math.isnan(value)
        ]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path class="line s{number}" style="fill:none" d="M{path}"/>')
        parts += [f'<circle class="dot s{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    words = "; ".join(
        f"{name}: " + ", ".join(f"{_figure(v)} at {label}" for v, label in zip(values, labels, strict=True))
        for name, values in series.items()
    )
    return _page(title, f"{description} {words}.", [*series], parts, top + height + 40)


def _page(title: str, description: str, series: list[str], parts: list[str], height: float) -> str:
    legend, x = [], float(_RIGHT)
    for number, name in enumerate(series):
        legend.append(f'<rect class="bar s{number}" x="{x:.0f}" y="46" width="12" height="12" rx="3"/>')
        legend.append(_text(x + 18, 57, name, "quiet"))
        x += 44 + 7.5 * len(name)
    inside = "\n".join([_text(_RIGHT, 30, title, "title"), *legend, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-labelledby="title description">\n'
        f'<title id="title">{escape(title)}</title>\n<desc id="description">{escape(description)}</desc>\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{_WIDTH}" height="{height:.0f}" rx="8"/>\n{inside}\n</svg>\n'
    )


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    look = f' class="{kind}"' if kind else ""
    return f'<text{look} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _figure(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def _steps(largest: float) -> list[float]:
    """Return round figures from zero to at least this value."""
    rough = largest / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * number for number in range(math.ceil(largest / step) + 1)]
