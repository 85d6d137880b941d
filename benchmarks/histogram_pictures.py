"""Pictures of histogram comparisons: the mean beside its reference, the statistic with its limit, the alarm.

    python -m benchmarks.histogram_pictures [--seed 4]

Writes docs/img/<strategy>.svg. Latencies with a daily wave, 2,000 an hour, in buckets that clients have by default;
they are 40 % slower for fourteen hours of the second of three days. Windows of an hour, one every 15 minutes, are
compared with the same hour of a week before.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import lognorm

from benchmarks.pictures import BOTTOM, FOLDER, LEFT, STYLE, TOP, WIDTH, Floats, Panel
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Code
from bridge.strategies.registry import build

BOUNDS = np.array([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10, np.inf])
DAY, QUARTER = 96, 500  # quarters of an hour, and latencies in each
STRATEGIES = {
    "chi_square": ({}, "share of the observations in other buckets"),
    "ks": ({}, "least distance of the distributions"),
    "wasserstein": ({"min_effect": 0.02}, "least distance moved, in seconds"),
    "psi": ({}, "population stability index"),
    "jensen_shannon": ({}, "Jensen-Shannon divergence, bit"),
}  # fmt: skip


def windows(rng: np.random.Generator, *, risen: bool) -> tuple[Floats, Floats]:
    """Return cumulative counts (slots, b) and sums (slots,) of the windows that end in three days."""
    counts, sums = [], []
    for position in range(-4, 3 * DAY):
        slower = 1.4 if risen and DAY + 32 <= position < DAY + 88 else 1.0
        middle = 0.15 * np.exp(0.2 * np.sin(2 * np.pi * position / DAY)) * slower
        seen = lognorm(0.5, scale=middle).rvs(QUARTER, random_state=rng)
        counts.append((seen[:, None] <= BOUNDS).sum(axis=0))
        sums.append(seen.sum())
    hour = np.ones(4)
    rolled = np.apply_along_axis(np.convolve, 0, np.array(counts, float), hour, "valid")
    return rolled[1:], np.convolve(np.array(sums), hour, "valid")[1:]


def story(seed: int) -> EventBatch:
    """Return all windows as one batch, since the strategies are stateless."""
    rng = np.random.default_rng(seed)
    (before, old), (now, new) = windows(rng, risen=False), windows(rng, risen=True)
    columns = {"buckets": now, "reference": before, "sum": new, "reference_sum": old}
    index = np.zeros(len(now), np.int32)
    return EventBatch("answers", EventKind.LATENCY, 0, ModelTable(), index, columns, BOUNDS, unit_ms=1000.0)


def picture(name: str, one: EventBatch, statistic: Floats, limit: float, alarm: Floats, title: str) -> str:
    """Return the SVG."""
    means = [1000 * one.columns[total] / one.columns[name][:, -1] for total, name in (
        ("reference_sum", "reference"), ("sum", "buckets"))]  # fmt: skip
    upper = Panel(8, TOP, 100, 320, "mean latency, ms; dashed: a week before; shaded: the alarm is on")
    lower = Panel(TOP + 34, BOTTOM, 0, 1.15 * max(float(np.nanmax(statistic)), limit), f"{title}, and its limit")
    size, height = len(statistic), TOP + BOTTOM + 66
    on = np.flatnonzero(np.diff(np.concatenate([[0.0], alarm, [0.0]])))
    alarms = "".join(
        f'<rect class="alarm" x="{upper.x(a, size):.1f}" y="8" width="{upper.x(b - a, size) - LEFT:.1f}"'
        f' height="{TOP + BOTTOM + 26}"/>'
        for a, b in zip(on[::2].tolist(), on[1::2].tolist(), strict=True)
    )
    days = "".join(
        f'<text x="{upper.x(day * size / 3, size):.0f}" y="{height - 12}">day {day + 1}</text>' for day in range(3)
    )
    drawn = (("usual", upper, means[0]), ("signal", upper, means[1]),
             ("limit", lower, np.full(size, limit)), ("statistic", lower, statistic))  # fmt: skip
    lines = "".join(f'<polyline class="{kind}" points="{panel.points(line)}"/>' for kind, panel, line in drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">'
        f'<style>{STYLE}</style><rect class="back" width="{WIDTH}" height="{height}"/>'
        f"{alarms}{lines}{upper.frame()}{lower.frame()}{days}</svg>\n"
    )


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=4)
    one = story(parser.parse_args().seed)
    for name, (params, title) in STRATEGIES.items():
        verdicts = build(StrategySpec(name, params)).analyse_batch(one, None)
        alarm = (verdicts.code == Code.BREACHED).astype(float)
        drawn = picture(name, one, verdicts.statistic, float(verdicts.threshold[0]), alarm, title)
        (FOLDER / f"{name}.svg").write_text(drawn, encoding="utf-8")
        after = 15 * (int(np.argmax(alarm)) - DAY - 31)
        print(f"{name}: alarm after {after} minutes, on for {15 * int(alarm.sum())}")


if __name__ == "__main__":
    main()
