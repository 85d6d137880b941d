"""Comparison over generated life: requests, false ones, delays, bounds, and the simple detectors."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.life.baselines import DETECTORS, rolling_z
from benchmarks.life.comparison import Seed, limit_at
from benchmarks.life.grammar import Change, Kind, Life, Moment, Noise, Observable, Sampling, Season, Shape, draw
from benchmarks.life.incidents import SIBLINGS, companions, generate_together
from benchmarks.life.measure import AFTER, COOLDOWN, measure, poisson_upper, pooled, requests, run
from benchmarks.life.signals import PER_DAY, SLOT, Signals, Window, generate

SLOTS = 28 * PER_DAY // SLOT
PLAIN = replace(
    draw(11, 1)[0], observable=Observable.VALUE, season=Season(), noise=Noise.GAUSSIAN, sampling=Sampling(),
    life=Life.LONG, change=Change(Shape.STEP, Moment.LATER, 4.0, 12.0), spread=0.1,
)  # fmt: skip


def signals(kind: Kind, windows: list[Window], models: int = 2) -> Signals:
    return Signals(kind, np.zeros((SLOTS, models)), None, None, windows, kind.admissible)


def alarms(*ranges: tuple[int, int, int]) -> np.ndarray:
    breached = np.zeros((SLOTS, 2), np.bool_)
    for model, start, end in ranges:
        breached[start:end, model] = True
    return breached


def test_a_request_is_the_beginning_of_an_alarm_after_a_cooldown() -> None:
    breached = alarms((0, 100, 110), (0, 112, 113), (0, 100 + COOLDOWN, 999), (1, 0, 5))
    assert [found.tolist() for found in requests(breached)] == [[100, 100 + COOLDOWN], [0]]


def test_a_change_is_detected_within_its_window_and_the_day_after_is_neither_right_nor_false() -> None:
    start, end = 10 * PER_DAY, 10 * PER_DAY + 120
    part = signals(PLAIN, [Window(0, start, end), Window(1, start, end)])
    found = measure(part, alarms((0, start // SLOT + 5, start // SLOT + 9), (1, end // SLOT + 50, end // SLOT + 60)))
    assert (found.planted, found.detected, found.false) == (2, 1, 0)
    assert found.delays == (30.0,)
    assert found.quarters == pytest.approx((2 * 28 - 2 * (120 + AFTER) / PER_DAY) / 90)
    later = measure(part, alarms((0, (end + AFTER) // SLOT + 2, (end + AFTER) // SLOT + 3)))
    assert (later.detected, later.false) == (0, 1)


def test_a_quarter_is_one_of_the_calendar_from_the_first_to_the_last_sample() -> None:
    """Gaps, nights and slots between the steps of a slow counter belong to it; the time before birth does not."""
    total = np.full((SLOTS, 2), np.nan)
    total[PER_DAY // SLOT :: 12, 0] = 60.0
    total[: 2 * PER_DAY // SLOT, 1] = 0.0
    part = Signals(replace(PLAIN, observable=Observable.ERRORS), None, np.zeros_like(total), total, [], 0)
    assert measure(part, alarms()).quarters == pytest.approx((27 + 2) / 90, rel=0.01)


def test_admissible_requests_and_harmless_dips_are_not_counted() -> None:
    deployed = replace(PLAIN, life=Life.DEPLOYED, change=Change(Shape.NONE, Moment.LATER, 1.0, 0.0))
    breached = alarms((0, 1000, 1001), (0, 2000, 2001), (0, 3000, 3001))
    assert measure(signals(deployed, []), breached).false == 1
    dip = replace(PLAIN, observable=Observable.LATENCY, change=Change(Shape.DIP, Moment.LATER, 2.0, 2.0))
    assert measure(signals(dip, [Window(0, 5000, 5120)]), breached).planted == 0


def test_the_bound_is_the_exact_one_of_a_poisson_count() -> None:
    for count in (0, 3, 40):
        assert stats.poisson.cdf(count, poisson_upper(count)) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_simple_detector_finds_a_step_at_a_limit_with_few_false_requests(name: str) -> None:
    seed = Seed(5, [generate(PLAIN, 5, 6)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        columns = [DETECTORS[name](part) for part in seed.parts]
    limit = limit_at(seed, columns, 2.0)
    found = measure(seed.parts[0], columns[0] > limit)
    assert found.rate <= 2.0
    assert found.detected == 6
    assert pooled([found, found]).planted == 12


def test_a_rolling_z_is_that_of_the_numbers_before() -> None:
    part = generate(PLAIN, 5, 2)
    assert part.values is not None
    before = part.values[500:600, 1]
    expected = (part.values[600, 1] - before.mean()) / before.std()
    assert rolling_z(part, 100)[600, 1] == pytest.approx(abs(expected))


def test_auto_runs_over_kinds_of_one_observable_at_once() -> None:
    parts = [generate(kind, 5, 2) for kind in (PLAIN, replace(PLAIN, number=7))]
    short = [replace(part, values=part.values[:900]) for part in parts if part.values is not None]
    together, alone = run(short, "auto", {}), run(short[1:], "auto", {})
    assert np.array_equal(together[1], alone[0])


def test_signals_of_one_model_and_its_siblings_share_incidents() -> None:
    kinds = companions(PLAIN, 3)
    assert {kind.observable for kind in kinds} == set(Observable)
    together = generate_together(kinds, 5, 2 * SIBLINGS)
    assert len({tuple(each.windows) for each in together}) == 1
    starts = [window.start for window in together[0].windows]
    assert len(set(starts[:SIBLINGS])) == 1
    assert starts[0] != starts[SIBLINGS]
    assert together[0].values is not None
    with pytest.raises(ValueError, match="one life"):
        generate_together([PLAIN, replace(PLAIN, life=Life.DAY)], 5)
