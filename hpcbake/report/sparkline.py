"""A row of figures as a small line in SVG, with the same said in words for those who do not see it. Pure."""

from __future__ import annotations

from markupsafe import Markup

from hpcbake.report.fleet import Trend

_WIDTH, _HEIGHT, _MARGIN = 96, 20, 3
#: More points than these cannot be told apart at this width.
_MAX_POINTS = 48

_LINE = Markup('<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>')
_SVG = Markup(
    '<svg class="spark" role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
    'aria-label="{words}"><title>{words}</title>{line}<circle cx="{x}" cy="{y}" r="2.5" fill="currentColor"/></svg>'
)


def sparkline(trend: Trend) -> Markup:
    """The line; its last point is a dot, which alone is drawn for a single figure."""
    points = _points(trend.values[-_MAX_POINTS:])
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return _SVG.format(
        width=_WIDTH,
        height=_HEIGHT,
        words=trend_words(trend),
        line=_LINE.format(points=text) if len(points) > 1 else "",
        x=f"{x:.1f}",
        y=f"{y:.1f}",
    )


def trend_words(trend: Trend) -> str:
    """What the line shows: how many figures, between which, and the last."""
    unit = f" {trend.unit}" if trend.unit else ""
    if len(trend.values) == 1:
        return f"{trend.test} {trend.figure}: one value, {_figure(trend.last)}{unit}"
    low, high = min(trend.values), max(trend.values)
    return (
        f"{trend.test} {trend.figure}: {len(trend.values)} values from {_figure(low)} to {_figure(high)}{unit}, "
        f"the last {_figure(trend.last)}{unit}"
    )


def figure_words(trend: Trend) -> str:
    """The latest value with its unit."""
    return f"{_figure(trend.last)} {trend.unit}".strip()


def _figure(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e15 else f"{value:.0f}"


def _points(values: tuple[float, ...]) -> list[tuple[float, float]]:
    low, high = min(values), max(values)
    # Scaled before subtracting: the span of two very large figures may be no number.
    scale = max(abs(low), abs(high)) or 1.0
    span = high / scale - low / scale
    step = (_WIDTH - 2 * _MARGIN) / max(len(values) - 1, 1)
    room = _HEIGHT - 2 * _MARGIN
    return [
        (
            _MARGIN + (number * step if len(values) > 1 else _WIDTH - 2 * _MARGIN),
            _HEIGHT - _MARGIN - room * ((value / scale - low / scale) / span if span else 0.5),
        )
        for number, value in enumerate(values)
    ]
