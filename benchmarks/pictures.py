"""Pictures of detectors: a signal with its usual level, the statistic with its limit, and the alarm.

    python -m benchmarks.pictures [--seed 4]

Writes docs/img/<strategy>.svg. The signal is a p95 latency with a daily wave and AR(0.5) noise, a sample every five
minutes, of which three days are drawn; it is 20 % higher for fourteen hours of the second one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.domain.verdict import Code
from bridge.strategies.detector import Detector, DetectorVerdicts
from bridge.strategies.registry import build

Floats = NDArray[np.float64]
FOLDER = Path(__file__).parents[1] / "docs" / "img"
NAMES = ("seasonal_cusum", "ewma", "page_hinkley", "kswin", "adwin")
START, STEP, PAST, SHOWN = 1_700_006_400_000, 5 * MINUTE, 16 * DAY, 3 * DAY
WIDTH, TOP, BOTTOM, LEFT = 860, 150, 90, 56


def signal(seed: int) -> tuple[Floats, Floats]:
    """Return timestamps and latencies in milliseconds."""
    draw, noise, found = np.random.default_rng(seed), 0.0, []
    at = START + np.arange((PAST + SHOWN) // STEP) * STEP
    for slot in at.tolist():
        noise = 0.5 * noise + np.sqrt(0.75) * draw.standard_normal()
        risen = PAST + DAY + 8 * HOUR <= slot - START < PAST + DAY + 22 * HOUR
        found.append(170 * np.exp(0.25 * np.sin(2 * np.pi * slot / DAY) + 0.06 * noise + 0.182 * risen))
    return at.astype(float), np.array(found)


def looked_at(name: str, at: Floats, values: Floats) -> dict[str, Floats]:
    """Return level, spread, statistic, limit and alarm of a strategy, over the days that are drawn."""
    strategy = build(StrategySpec(name, {"standardise": {"season": "day"}}))
    assert isinstance(strategy, Detector)
    state, rows = strategy.new_state(1), []
    for slot, value in zip(at.astype(int).tolist(), values.tolist(), strict=True):
        one = EventBatch(
            "p95", EventKind.LATENCY, slot, ModelTable(), np.zeros(1, np.int32), {"value": np.array([value])}
        )
        found: DetectorVerdicts = strategy.analyse_batch(one, state)
        usual = found.standardised
        text = (usual.level, usual.spread, found.statistic, found.threshold, found.code == Code.BREACHED)
        rows.append([float(column[0]) for column in text])
    shown = np.array(rows)[-(SHOWN // STEP) :].T
    return dict(zip(("level", "spread", "statistic", "limit", "alarm"), shown, strict=True))


class Panel:
    """Panel of the picture with its own scale."""

    def __init__(self, top: float, height: float, low: float, high: float, title: str) -> None:
        self._top, self._height, self._low, self._high, self._title = top, height, low, high, title

    def x(self, index: float, count: int) -> float:
        return LEFT + (WIDTH - LEFT - 8) * index / (count - 1)

    def y(self, value: float) -> float:
        return self._top + self._height * (1 - (value - self._low) / (self._high - self._low))

    def points(self, values: Floats) -> str:
        known = [(index, value) for index, value in enumerate(values.tolist()) if np.isfinite(value)]
        return " ".join(f"{self.x(index, len(values)):.1f},{self.y(value):.1f}" for index, value in known)

    def frame(self) -> str:
        """Return axis, two ticks and the title."""
        marks = "".join(
            f'<text x="{LEFT - 6}" y="{self.y(value) + 4:.0f}" text-anchor="end">{value:.3g}</text>'
            for value in (self._low, self._high)
        )
        line = f'<path d="M{LEFT} {self._top}v{self._height}h{WIDTH - LEFT - 8}" class="axis"/>'
        return f'{line}{marks}<text x="{LEFT + 6}" y="{self._top + 13}" class="title">{self._title}</text>'


STYLE = """text{font:12px sans-serif;fill:#57606a}.title{fill:#24292f}.axis{fill:none;stroke:#8c959f}
.signal{fill:none;stroke:#0969da}
.usual{fill:none;stroke:#57606a;stroke-dasharray:4 3}.band{fill:#8c959f;fill-opacity:.25}
.statistic{fill:none;stroke:#8250df;stroke-width:1.5}.limit{fill:none;stroke:#cf222e;stroke-dasharray:4 3}
.alarm{fill:#cf222e;fill-opacity:.12}.back{fill:#fff}"""


def picture(name: str, values: Floats, found: dict[str, Floats], title: str) -> str:
    """Return the SVG."""
    shown = values[-len(found["level"]) :]
    most = 1.15 * max(float(np.nanmax(found["statistic"])), float(np.nanmax(found["limit"])))
    upper = Panel(8, TOP, 100, 300, "p95 latency, ms; its usual level and three sigmas; shaded: the alarm is on")
    lower = Panel(TOP + 34, BOTTOM, 0, most, f"{title}, and its limit")
    high, low = (found["level"] + sign * 3 * found["spread"] for sign in (1, -1))
    band = f"{upper.points(high)} {' '.join(reversed(upper.points(low).split()))}"
    on = np.flatnonzero(np.diff(np.concatenate([[0.0], found["alarm"], [0.0]])))
    size = len(shown)
    alarms = "".join(
        f'<rect class="alarm" x="{upper.x(a, size):.1f}" y="8" width="{upper.x(b - a, size) - LEFT:.1f}"'
        f' height="{TOP + BOTTOM + 26}"/>'
        for a, b in zip(on[::2].tolist(), on[1::2].tolist(), strict=True)
    )
    height = TOP + BOTTOM + 66
    days = "".join(
        f'<text x="{upper.x(day * size / 3, size):.0f}" y="{height - 12}">day {day + 1}</text>' for day in range(3)
    )
    lines = [
        f'<polygon class="band" points="{band}"/>', alarms,
        *(f'<polyline class="{kind}" points="{panel.points(line)}"/>' for kind, panel, line in (
            ("usual", upper, found["level"]), ("signal", upper, np.clip(shown, 100, 300)),
            ("limit", lower, found["limit"]), ("statistic", lower, found["statistic"]))),
    ]  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">'
        f'<style>{STYLE}</style><rect class="back" width="{WIDTH}" height="{height}"/>'
        f"{''.join(lines)}{upper.frame()}{lower.frame()}{days}</svg>\n"
    )


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=4)
    at, values = signal(parser.parse_args().seed)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        found, strategy = looked_at(name, at, values), build(StrategySpec(name, {}))
        assert isinstance(strategy, Detector)
        (FOLDER / f"{name}.svg").write_text(picture(name, values, found, strategy.title), encoding="utf-8")
        print(f"{name}: alarm on for {int(found['alarm'].sum()) * 5} minutes")


if __name__ == "__main__":
    main()
