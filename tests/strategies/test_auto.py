"""auto: detection of new behaviour, silence on usual behaviour, reasons, and its parts against formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.strategies.registry import build

EXAMPLE: dict[str, Any] = {}
START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
Floats = NDArray[np.float64]


class Story:
    """Run of `auto` over some models."""

    def __init__(
        self, event: EventKind = EventKind.CUSTOM, models: int = 1, step: int = 5 * MINUTE, **params: Any
    ) -> None:
        self.strategy = build(StrategySpec("auto", params))
        self.state = self.strategy.new_state(models)
        self.event, self.step, self.slot = event, step, START - step
        self.table = ModelTable()
        self.index = np.array(
            [self.table.row(ModelKey("p", "q", str(position))) for position in range(models)], np.int32
        )
        self.batch: EventBatch | None = None
        self.verdicts: Verdicts | None = None

    def see(self, **columns: Any) -> list[str]:
        """Evaluate one sample per model; return each code, or the cause of an inconclusive verdict."""
        self.slot += self.step
        arrays = {name: np.atleast_1d(np.asarray(numbers, float)) for name, numbers in columns.items()}
        unit = 1000.0 if self.event is EventKind.LATENCY else 1.0
        self.batch = EventBatch("p95", self.event, self.slot, self.table, self.index, arrays, unit_ms=unit)
        self.verdicts = self.strategy.analyse_batch(self.batch, self.state)
        text = zip(self.verdicts.code.tolist(), self.verdicts.cause.tolist(), strict=True)
        return [Cause(cause).name if cause else Code(code).name for code, cause in text]

    def run(self, values: Floats) -> list[int]:
        """Return the positions of samples (n,) of one model at which it becomes breached."""
        codes = [self.see(value=value)[0] for value in values]
        return [
            position for position, code in enumerate(codes) if code == "BREACHED" and codes[position - 1] != "BREACHED"
        ]

    def reason(self) -> str:
        assert self.batch is not None
        assert self.verdicts is not None
        return self.strategy.describe(self.batch, 0, self.verdicts)


def course(days: float, seed: int, sigma: float = 0.05, step: int = 5 * MINUTE) -> Floats:
    """Return a latency in seconds with a daily wave and AR(0.5) noise."""
    draw = np.random.default_rng(seed)
    count = int(days * DAY / step)
    noise = draw.standard_normal(count) * sigma * math.sqrt(0.75)
    for position in range(1, count):
        noise[position] += 0.5 * noise[position - 1]
    return np.asarray(0.2 * np.exp(0.3 * np.sin(2 * np.pi * np.arange(count) * step / DAY) + noise))


def test_a_quiet_latency_requests_nothing_and_a_slow_one_is_found_within_two_hours() -> None:
    """A permanent +30 % after three weeks; no alarm before."""
    values = course(22, 101)
    values[21 * 288 :] *= 1.3
    story = Story(EventKind.LATENCY)
    begins = story.run(values[: 21 * 288 + 24])
    assert begins[-1] >= 21 * 288
    assert len(begins) <= 2  # a false one in three weeks may be


def test_a_shift_is_reported_with_the_usual_value_for_the_hour() -> None:
    """A seventh more, in noise as large: no single sample is an outlier."""
    values = course(10, 23, sigma=0.1)
    values[9 * 288 :] *= 1.2
    story = Story(EventKind.LATENCY)
    story.run(values[: 9 * 288])
    while story.see(value=values[(story.slot - START) // story.step + 1]) != ["BREACHED"]:
        pass
    assert " has stayed above its usual " in story.reason()
    assert " for this hour (" in story.reason()


def test_a_value_that_was_never_there_is_found_at_once() -> None:
    """Three times the level: the first sample alarms, and the reason shows the usual level."""
    values = course(8, 102)
    story = Story(EventKind.LATENCY)
    story.run(values[:-1])
    assert story.see(value=3 * values[-1]) == ["BREACHED"]
    assert "spreads above usual daily peaks, limit 1.96)" in story.reason()


@pytest.mark.parametrize(
    ("event", "params", "factor", "code"),
    [(EventKind.LATENCY, {}, 0.2, "OK"), (EventKind.LATENCY, {"side": "down"}, 0.2, "BREACHED"),
     (EventKind.LATENCY, {"side": "down"}, 5, "OK"), (EventKind.CUSTOM, {}, 0.2, "BREACHED"),
     (EventKind.CUSTOM, {}, 5, "BREACHED"), (EventKind.CUSTOM, {"side": "up"}, 0.2, "OK")],
)  # fmt: skip
def test_only_changes_for_the_worse_count_by_default(
    event: EventKind, params: dict[str, Any], factor: float, code: str
) -> None:
    """A fast response is no fault; for a custom signal the bad direction is unknown."""
    values = course(4, 7)
    story = Story(event, **params)
    story.run(values[:-1])
    assert story.see(value=factor * values[-1]) == [code]


def test_an_alarm_lasts_an_hour_after_the_last_odd_sample() -> None:
    """This gives `for` time to elapse."""
    values = course(4, 7)
    story = Story(EventKind.LATENCY)
    story.run(values[:-20])
    assert story.see(value=3.0) == ["BREACHED"]
    text = story.reason()[story.reason().index("(") :]
    codes = [story.see(value=value)[0] for value in values[-20:-10]]
    assert story.reason().endswith(text)  # the highest, not what is left of it
    codes += [story.see(value=value)[0] for value in values[-10:]]
    lasting = codes.index("OK")
    assert codes == ["BREACHED"] * lasting + ["OK"] * (20 - lasting)
    assert 11 <= lasting <= 13


def test_a_new_model_warms_up_for_four_hours() -> None:
    """Until there are peaks of four hours."""
    story = Story(EventKind.LATENCY)
    codes = [story.see(value=value)[0] for value in course(1.5, 3)]
    assert codes[:48] == ["WARMING_UP"] * 48
    assert codes[-1] == "OK"
    assert set(codes) == {"WARMING_UP", "OK"}


def test_a_large_step_is_detected_from_the_fifth_hour_on() -> None:
    """To twice the usual value, but not by 20 %: the peaks of a few hours are uncertain."""
    for factor, expected in ((2.0, [67]), (1.2, [])):
        values = course(0.3, 3)
        values[66:] *= factor
        assert Story(EventKind.LATENCY).run(values)[:1] == expected


def test_numbers_every_minute_are_put_together_to_five() -> None:
    """The mean of five, evaluated with the last of them, equals a single sample of that value."""
    minutes = course(3, 11, step=MINUTE)
    means = minutes.reshape(-1, 5).mean(1)
    fine, coarse = Story(step=MINUTE), Story(step=5 * MINUTE)
    coarse.slot += 4 * MINUTE  # the end of its window
    for position, mean in enumerate(means):
        for value in minutes[5 * position : 5 * position + 5]:
            fine.see(value=value)
        coarse.see(value=mean)
    assert fine.state is not None
    assert coarse.state is not None
    assert math.isclose(float(fine.state["score"][0]), float(coarse.state["score"][0]), rel_tol=1e-6, abs_tol=1e-6)
    assert fine.state["looked"] == coarse.state["looked"]


def test_a_number_that_is_only_scraped_again_is_no_new_one() -> None:
    """An hourly source gives the same state whether queried every five minutes or every hour."""
    hours = course(6, 5, step=HOUR)
    story = Story(step=5 * MINUTE)
    for value in hours:
        for _ in range(12):
            story.see(value=value)
    assert story.state is not None
    assert len(hours) <= story.state["habits"]["count"][0] + 24 <= len(hours) + 24


def test_the_first_weekend_is_no_shift() -> None:
    """A level that is lower on the first Saturday and Sunday; as large a fall on the second Wednesday is a shift."""
    values = np.random.default_rng(47).normal(10, 1, 9 * 288)
    weekend, lasting = values.copy(), values.copy()
    weekend[3 * 288 : 5 * 288] -= 1.6
    lasting[7 * 288 :] -= 1.6
    assert Story(side="down").run(weekend[: 6 * 288]) == []
    begins = Story(side="down").run(lasting)
    assert {position // 288 for position in begins} == {7}


def test_a_repeated_peak_becomes_usual() -> None:
    """A nightly batch run, which begins on the fourth day, alarms once; on the days after that it does not."""
    values = course(20, 13)
    values[3 * 288 + 40 :: 288] *= 4
    begins = Story(EventKind.LATENCY).run(values)
    assert [position // 288 for position in begins] == [3]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300, -1e31])
def test_nan_is_neither_evaluated_nor_learnt(odd: float) -> None:
    """The state is unchanged for the next sample."""
    values = course(3, 17)
    one, other = Story(), Story()
    one.run(values[:-2])
    other.run(values[:-2])
    assert one.see(value=odd) == ["NAN"]
    other.slot += other.step
    assert one.see(value=values[-1]) == other.see(value=values[-1]) == ["OK"]


# ---------------------------------------------------------------- versions, sensitivity, band


def test_a_new_version_knows_season_and_noise_but_not_its_level() -> None:
    """The successor of a version that was seen for ten days finds a jump within hours, at twice the level."""
    values = course(11, 31)
    story = Story(EventKind.LATENCY)
    story.run(values[: 10 * 288])
    assert story.state is not None
    story.state = story.strategy.successor(story.state)
    codes = [story.see(value=2 * value)[0] for value in values[10 * 288 : 10 * 288 + 36]]
    assert set(codes[1:]) == {"OK"}
    assert story.see(value=6 * values[10 * 288 + 36]) == ["BREACHED"]


@pytest.mark.parametrize(("phi", "jump", "most"), [(0.0, 0.0, 6), (0.9, 0.0, 12), (0.5, 20.0, 6)])
def test_the_level_of_a_new_version_is_not_that_of_its_first_sample(phi: float, jump: float, most: int) -> None:
    """Of 100 new versions of healthy pipelines, few raise an alarm in their first two days, however far the level."""
    draw, models = np.random.default_rng(33), 100
    story, noise = Story(models=models), np.zeros(models)
    breached = np.zeros(models, np.bool_)
    for position in range(9 * 288):
        noise = phi * noise + math.sqrt(1 - phi * phi) * draw.standard_normal(models)
        if position == 7 * 288:
            assert story.state is not None
            story.state = story.strategy.successor(story.state)
        codes = story.see(value=10 + noise + jump * (position >= 7 * 288))
        if position >= 7 * 288:
            breached |= np.array(codes) == "BREACHED"
    assert np.count_nonzero(breached) <= most


def test_a_more_sensitive_rule_requests_earlier() -> None:
    """The limits in spreads are in order, for values and for counts."""
    strategies = [build(StrategySpec("auto", {"sensitivity": name})) for name in ("low", "normal", "high")]
    limits = [strategy._maxima.limit for strategy in strategies]  # type: ignore[attr-defined]
    assert [round(value, 2) for value in limits] == [3.37, 1.96, 0.72]
    sums = [strategy._limit for strategy in strategies]  # type: ignore[attr-defined]
    assert [round(value, 2) for value in sums] == [9.57, 8.37, 6.58]


def test_a_latency_of_zero_is_no_number_and_hides_nothing() -> None:
    """One zero, and +60 % two days later."""
    values = course(12, 37)
    values[9 * 288] = 0.0
    values[11 * 288 :] *= 1.6
    story = Story(EventKind.LATENCY)
    begins = story.run(values[: 11 * 288 + 24])
    assert any(position >= 11 * 288 for position in begins)


def test_the_band_holds_usual_values_and_ends_at_the_limit() -> None:
    """Unknown on the first day; then the bound of a single value, in seconds."""
    values = course(6, 41)
    story = Story(EventKind.LATENCY)
    story.run(values[:200])
    assert story.verdicts is not None
    assert np.isnan(story.verdicts.band()).all()  # type: ignore[arg-type]
    story.run(values[200:])
    band = story.verdicts.band()
    assert band is not None
    low, high = float(band[0][0]), float(band[1][0])
    assert low < values[-288:].max() < high
    assert story.see(value=1.01 * high) == ["BREACHED"]


# ---------------------------------------------------------------- siblings


def test_a_new_pipeline_with_grown_siblings_is_evaluated_at_once_and_finds_a_change_on_its_first_day() -> None:
    """Five siblings at different levels were seen for eight days; the new one rises by half after four hours."""
    story, scales = Story(EventKind.LATENCY, models=5), np.array([1.0, 2.0, 0.5, 1.5, 4.0])
    waves = np.stack([course(9, seed) for seed in range(41, 46)], axis=1) * scales
    for row in waves[: 8 * 288]:
        story.see(value=row)
    assert story.state is not None
    new = Story(EventKind.LATENCY)
    new.state, new.slot = story.strategy.newcomer(story.state), story.slot
    values = 3 * course(9, 46)[8 * 288 :]
    codes = [new.see(value=value)[0] for value in values[:48]]
    assert set(codes[1:]) == {"OK"}
    codes = [new.see(value=1.5 * value)[0] for value in values[48:60]]
    assert "BREACHED" in codes


def test_without_grown_siblings_a_new_pipeline_starts_with_nothing() -> None:
    story = Story(models=2)
    for value in np.random.default_rng(47).normal(0, 1, (288, 2)):
        story.see(value=value)
    assert story.state is not None
    assert not story.strategy.newcomer(story.state)["habits"]["count"].any()
