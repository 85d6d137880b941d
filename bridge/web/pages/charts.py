"""Charts of signals over time, for the pages and the backtest report: SVG without a script, and data for charts.js."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

import msgspec
from markupsafe import Markup

from bridge.domain import statistic
from bridge.domain.times import Timestamp
from bridge.engine.api.views import SignalView, TrailView

SPARK_SLOTS = 36  # about 350 bytes: a page of 50 models with two rules each stays small


class Frame(NamedTuple):
    """Mapping of numbers to pixels. low, high: the numbers at the lower and upper edge of the chart."""

    width: int
    height: int
    low: float
    high: float

    def y(self, number: float) -> int:
        """Return the distance from the top, in pixels."""
        span = self.high - self.low
        share = (number - self.low) / span if span > 0 else 0.5
        return round(2 + (1 - share) * (self.height - 4))

    def x(self, index: int, count: int) -> int:
        """Return the distance from the left of point `index` of `count`, in pixels."""
        return round(index * (self.width - 4) / max(count - 1, 1)) + 1


def spark(trail: TrailView | None) -> Markup:
    """Return a sparkline of the last values, with the limit if it applies to the value; empty without any number."""
    if trail is None:
        return Markup()
    values, limits = trail.value[-SPARK_SLOTS:], _limits(trail)[-SPARK_SLOTS:]
    last, limit = _last(values), _last(limits)
    if last < 0:
        return Markup()
    frame = Frame(90, 20, *(extent([*values, *limits[limit : limit + 1]]) or (0.0, 0.0)))
    body = "" if limit < 0 else f'<path class="limit" d="M0 {frame.y(limits[limit])}H{frame.width}"/>'
    body += f'<path d="{_line(values, frame)}"/>'
    body += f'<circle r="2" cx="{frame.x(last, len(values))}" cy="{frame.y(values[last])}"/>'
    return _svg("spark", frame, body)


def picture(trail: TrailView) -> Markup:
    """Return the static chart of a whole trail: value, limit, expected range, and pending and firing periods."""
    limits = _limits(trail)
    frame = _frame(720, 160, [*trail.value, *limits, *trail.lower, *trail.upper])
    if frame is None:
        return Markup()
    count = len(trail.slots)
    body = "".join(
        f'<rect class="{name}" x="{frame.x(begin, count)}" y="0" height="{frame.height}"'
        f' width="{max(frame.x(min(end + 1, count - 1), count) - frame.x(begin, count), 2)}"/>'
        for name, begin, end in _phases(trail.state)
    )
    body += "".join(f'<path class="band" d="{shape}"/>' for shape in _bands(trail, frame))
    for name, numbers in (("limit", limits), ("value", trail.value)):
        if line := _line(numbers, frame):
            body += f'<path class="{name}" d="{line}"/>'
    return _svg("chart", frame, body)


def data(
    trail: TrailView, marks: Sequence[tuple[Timestamp, str]] = (), *, own: bool | None = None,
    windows: Sequence[tuple[Timestamp, Timestamp]] = (), labels: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Return the trail as JSON for charts.js: times in seconds, null for missing numbers.

    marks: instant and label of each event to mark.
    own: True if the statistic needs a scale of its own; by default, if it differs from the value.
    windows: periods to shade, (start, end).
    labels: names in the legend that replace those of the columns `value`, `lower` and `upper`.
    """
    columns = {name: _numbers(getattr(trail, name)) for name in ("value", "lower", "upper", "threshold", "statistic")}
    chart = {
        "slots": [slot / 1000 for slot in trail.slots], **columns, "state": list(trail.state),
        "own": own_scale(trail) if own is None else own, "marks": [(at / 1000, text) for at, text in marks],
        "windows": [(begins / 1000, ends / 1000) for begins, ends in windows], "labels": labels or {},
    }  # fmt: skip
    return msgspec.json.encode(chart).decode()


def own_scale(trail: TrailView) -> bool:
    """Return whether the statistic, to which the limit applies, differs from the value."""
    return any(map(statistic.own_scale, trail.value, trail.statistic))


def apart(signal: SignalView, trail: TrailView | None) -> bool:
    """Return whether the limit applies to a separate statistic, in the last slot or in an earlier one of the trail."""
    return statistic.own_scale(signal.value, signal.statistic) or (trail is not None and own_scale(trail))


def extent(numbers: Sequence[float]) -> tuple[float, float] | None:
    """Return the smallest and the largest finite number; None if there is none."""
    finite = [number for number in numbers if math.isfinite(number)]
    return (min(finite), max(finite)) if finite else None


def first_slot_with_value(trail: TrailView) -> Timestamp:
    """Return the first slot with a value; 0 if there is none."""
    with_value = (slot for slot, value in zip(trail.slots, trail.value, strict=True) if math.isfinite(value))
    return next(with_value, 0)


def trail_from(trail: TrailView, slot: Timestamp) -> TrailView:
    """Return the part of the trail from `slot` on."""
    index = bisect_left(trail.slots, slot)
    return TrailView(*(getattr(trail, item.name)[index:] for item in fields(trail)))


def _last(numbers: Sequence[float]) -> int:
    """Return the index of the last finite number; -1 if there is none."""
    return next((index for index in range(len(numbers) - 1, -1, -1) if math.isfinite(numbers[index])), -1)


def _limits(trail: TrailView) -> Sequence[float]:
    return [] if own_scale(trail) else trail.threshold


def _frame(width: int, height: int, numbers: Sequence[float]) -> Frame | None:
    edges = extent(numbers)
    return None if edges is None else Frame(width, height, *edges)


def _line(numbers: Sequence[float], frame: Frame) -> str:
    """Return an SVG path with gaps for missing numbers; an isolated number becomes a dot."""
    parts, drawing = list[str](), False
    for index, number in enumerate(numbers):
        if math.isfinite(number):
            point = f"{frame.x(index, len(numbers))} {frame.y(number)}"
            parts.append(f"L{point}" if drawing else f"M{point}h0")
        drawing = math.isfinite(number)
    return "".join(parts)


def _bands(trail: TrailView, frame: Frame) -> Iterator[str]:
    """Yield a closed path between lower and upper for each stretch in which both are finite."""
    count = len(trail.slots)
    for known, begin, end in _runs([math.isfinite(a + b) for a, b in zip(trail.lower, trail.upper, strict=True)]):
        if known:
            indexes = range(begin, end + 1)
            above = [f"{frame.x(index, count)} {frame.y(trail.upper[index])}" for index in indexes]
            below = [f"{frame.x(index, count)} {frame.y(trail.lower[index])}" for index in reversed(indexes)]
            yield "M" + "L".join(above + below) + "Z"


def _phases(state: Sequence[int]) -> Iterator[tuple[str, int, int]]:
    """Yield state name, first and last index of each stretch in which the rule was pending or firing."""
    for value, begin, end in _runs(state):
        if value:
            yield ("pending", "firing")[int(value) - 1], begin, end


def _runs(values: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield value, first and last index of each stretch of equal values."""
    begin = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[begin]:
            yield values[begin], begin, index - 1
            begin = index


def _svg(name: str, frame: Frame, body: str) -> Markup:
    return Markup(  # noqa: S704 - contains only numbers and constant names
        f'<svg class="{name}" viewBox="0 0 {frame.width} {frame.height}" aria-hidden="true">{body}</svg>'
    )


def _numbers(numbers: Sequence[float]) -> list[float | None]:
    return [float(f"{number:.6g}") if math.isfinite(number) else None for number in numbers]
