"""Pictures of what rules saw, as SVG made here: they need no script, and style themselves from the page's own sheet."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

import msgspec
from markupsafe import Markup

from bridge.domain.times import Timestamp
from bridge.engine.api.views import TrailView

SPARK_SLOTS = 36  # some 350 bytes: 50 models with two rules each stay a small page
_NEAR = 1e-6


class Frame(NamedTuple):
    """Where numbers lie in a picture. low, high: the numbers at its lower and upper edge."""

    width: int
    height: int
    low: float
    high: float

    def y(self, number: float) -> int:
        """Pixels from above."""
        span = self.high - self.low
        share = (number - self.low) / span if span > 0 else 0.5
        return round(2 + (1 - share) * (self.height - 4))

    def x(self, place: int, count: int) -> int:
        """Pixels from the left."""
        return round(place * (self.width - 4) / max(count - 1, 1)) + 1


def spark(trail: TrailView | None) -> Markup:
    """The last values as a line, and the limit where it is one of the value; nothing when there is no number."""
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
    """The whole trail: value, limit, what is usual, and when the rule fired; what is shown without scripts."""
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


def data(trail: TrailView, marks: Sequence[tuple[int, str]] = ()) -> str:
    """For the script that draws the trail: JSON, times in seconds, null where there is no number. marks: what happened.

    own: whether the statistic is another number than the value, and is to have a scale of its own.
    """
    columns = {name: _numbers(getattr(trail, name)) for name in ("value", "lower", "upper", "threshold", "statistic")}
    found = {
        "slots": [slot / 1000 for slot in trail.slots], **columns, "state": list(trail.state), "own": own_scale(trail),
        "marks": [(at / 1000, text) for at, text in marks],
    }  # fmt: skip
    return msgspec.json.encode(found).decode()


def own_scale(trail: TrailView) -> bool:
    """Whether the statistic, and so the limit, is another number than the value."""
    pairs = zip(trail.value, trail.statistic, strict=True)
    return any(abs(value - made) > _NEAR * max(abs(value), 1e-12) for value, made in pairs)


def extent(numbers: Sequence[float]) -> tuple[float, float] | None:
    """The smallest and the greatest that there is; None of none."""
    finite = [number for number in numbers if math.isfinite(number)]
    return (min(finite), max(finite)) if finite else None


def first(trail: TrailView) -> Timestamp:
    """The slot in which it first had a value; 0 = it never had one."""
    known = (slot for slot, value in zip(trail.slots, trail.value, strict=True) if math.isfinite(value))
    return next(known, 0)


def since(trail: TrailView, slot: Timestamp) -> TrailView:
    """What was seen from `slot` on."""
    place = bisect_left(trail.slots, slot)
    return TrailView(*(getattr(trail, item.name)[place:] for item in fields(trail)))


def _last(numbers: Sequence[float]) -> int:
    """Where the last number is, -1 = there is none."""
    return next((place for place in range(len(numbers) - 1, -1, -1) if math.isfinite(numbers[place])), -1)


def _limits(trail: TrailView) -> Sequence[float]:
    return [] if own_scale(trail) else trail.threshold


def _frame(width: int, height: int, numbers: Sequence[float]) -> Frame | None:
    found = extent(numbers)
    return None if found is None else Frame(width, height, *found)


def _line(numbers: Sequence[float], frame: Frame) -> str:
    """A path with gaps where there is no number; a number alone is a dot."""
    parts, pen = list[str](), False
    for place, number in enumerate(numbers):
        if math.isfinite(number):
            at = f"{frame.x(place, len(numbers))} {frame.y(number)}"
            parts.append(f"L{at}" if pen else f"M{at}h0")
        pen = math.isfinite(number)
    return "".join(parts)


def _bands(trail: TrailView, frame: Frame) -> Iterator[str]:
    """Closed shapes between lower and upper, one for each stretch where both are known."""
    count = len(trail.slots)
    for known, begin, end in _runs([math.isfinite(a + b) for a, b in zip(trail.lower, trail.upper, strict=True)]):
        if known:
            places = range(begin, end + 1)
            above = [f"{frame.x(place, count)} {frame.y(trail.upper[place])}" for place in places]
            below = [f"{frame.x(place, count)} {frame.y(trail.lower[place])}" for place in reversed(places)]
            yield "M" + "L".join(above + below) + "Z"


def _phases(state: Sequence[int]) -> Iterator[tuple[str, int, int]]:
    """Stretches in which the rule was pending or firing: name, first and last place."""
    for value, begin, end in _runs(state):
        if value:
            yield ("pending", "firing")[int(value) - 1], begin, end


def _runs(values: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Stretches of equal values: the value, first and last place."""
    begin = 0
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] != values[begin]:
            yield values[begin], begin, place - 1
            begin = place


def _svg(name: str, frame: Frame, body: str) -> Markup:
    return Markup(  # noqa: S704 - numbers and names of ours alone
        f'<svg class="{name}" viewBox="0 0 {frame.width} {frame.height}" aria-hidden="true">{body}</svg>'
    )


def _numbers(numbers: Sequence[float]) -> list[float | None]:
    return [float(f"{number:.6g}") if math.isfinite(number) else None for number in numbers]
