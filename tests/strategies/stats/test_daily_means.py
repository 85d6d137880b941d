"""Daily means: limits, what is learnt, and what is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bridge.domain.times import DAY, HOUR
from bridge.strategies.stats.daily_means import AFTER, EARLIER, FEWEST, GUARD, DailyMeans, EndedDay

START = 1_700_006_400_000
P = 0.005
Floats = NDArray[np.float64]


class Days:
    """Models whose samples are hourly, and equal within a day."""

    def __init__(self, models: int = 1, *, counted: bool = False) -> None:
        self.means, self.counted, self.day = DailyMeans(P), counted, 0
        self.own = np.zeros(models, list(DailyMeans.fields))
        self.born, self.loud = np.full(models, START + EARLIER), np.zeros(models, np.int64)
        self.own["usual_time"] = 1.0  # the first day is otherwise none

    def see(self, values: Floats, weight: float = 1.0, hours: int = 24) -> Floats:
        """Add a day to all models (k,), and return the scores of the day before."""
        scores = np.full(len(self.own), np.nan)
        for hour in range(24 - hours, 24):
            slot, passed = START + self.day * DAY + hour * HOUR, np.full(len(self.own), HOUR)
            if hour == 24 - hours:
                passed += (24 - hours) * HOUR
            found = self.means.step(
                weight * values, np.full(len(values), weight), slot, passed, self.born, self.loud, self.own,
                counted=self.counted,
            ).score  # fmt: skip
            scores = np.where(np.isnan(found), scores, found)
        self.day += 1
        return scores

    def reference(self) -> float:
        """Return the mean of the days that one model has learnt."""
        mean = float(self.own["anchor"][0] + self.own["mean"][0])
        return math.sin(mean) ** 2 if self.counted else mean

    def run(self, values: list[float], weight: float = 1.0) -> list[float]:
        """Return the score of each day of one model; the first hour of a next day ends the last one."""
        scores = [float(self.see(np.array([value]), weight)[0]) for value in values]
        kept = self.own.copy()
        last = self.see(np.array([values[-1]]), weight)[0]
        self.own, self.day = kept, self.day - 1
        return [*scores[1:], float(last)]


def usual(days: int, seed: int = 5, size: float = 1.0) -> list[float]:
    return list(np.random.default_rng(seed).normal(10, size, days))


@pytest.mark.parametrize("counted", [False, True])
def test_a_score_is_a_distance_in_units_of_a_prediction_interval(counted: bool) -> None:
    """Compared with scipy: Student's t with the degrees of freedom of the recursive residuals of the first days."""
    days = Days(counted=counted)
    values = [0.02, 0.022, 0.019, 0.0215, 0.0185, 0.02, 0.023, 0.0235]
    scores = days.run(values, weight=1e4 if counted else 1.0)
    numbers = np.array(values)
    if counted:
        numbers = np.arcsin(np.sqrt((24e4 * numbers + 0.375) / (24e4 + 0.75)))
    past, last = numbers[:-1], numbers[-1]
    residuals = [(past[n] - past[:n].mean()) * np.sqrt(n / (n + 1)) for n in range(1, FEWEST)]
    size = np.sqrt(np.mean(np.square(residuals)) * (1 + 1 / FEWEST))
    limit = size * stats.t.isf(P, FEWEST - 1)
    assert np.isnan(scores[:FEWEST]).all()
    assert scores[FEWEST] == pytest.approx((last - past.mean()) / limit, rel=1e-4)
    reference = days.reference()
    assert reference == pytest.approx(np.sin(past.mean()) ** 2 if counted else past.mean(), rel=1e-5)


def test_without_a_change_the_limit_is_exceeded_as_rarely_as_stated() -> None:
    """On each side, on a day in 1 / P; days whose scores are above the limit are not independent of each other."""
    draw, days = np.random.default_rng(91), Days(4000)
    scores = np.array([days.see(draw.normal(10, 1, 4000)) for _ in range(15)])
    known = scores[~np.isnan(scores)]
    for side in (1, -1):
        assert 0.6 * P < (side * known >= 1).mean() < 1.4 * P


def test_a_slow_change_does_not_hide_itself() -> None:
    """A mean that rises by half a standard deviation each day: most models are found within twelve days."""
    draw, days, found = np.random.default_rng(92), Days(200), np.zeros(200, np.bool_)
    for _ in range(14):
        days.see(draw.normal(10, 1, 200))
    for day in range(1, 13):
        found |= days.see(draw.normal(10 + 0.5 * day, 1, 200)) > 1
    assert found.mean() > 0.8


def test_the_newest_days_wait_and_are_dropped_when_a_day_is_odd() -> None:
    days = Days()
    days.run([10.0, 10.2, 9.9, 10.1, 9.8, 10.0, 10.2])
    days.see(np.array([10.3]))
    reference = days.own["anchor"][0] + days.own["mean"][0]
    for waiting in range(1, GUARD + 1):
        days.see(np.array([10.3]))
        assert (days.own["recent_weekdays"] > 0).sum(axis=1).tolist() == [waiting]
        assert days.own["anchor"][0] + days.own["mean"][0] == pytest.approx(reference)
    days.see(np.array([20.0]))
    assert days.own["anchor"][0] + days.own["mean"][0] > reference
    assert days.see(np.array([10.0]))[0] == 1
    assert days.own["recent_weekdays"].tolist() == [[0, 0, 0]]


def test_a_single_day_beyond_the_limit_is_at_most_at_the_limit() -> None:
    """A holiday, or a storm; the second day in a row is beyond it."""
    days = Days()
    days.run(usual(10, size=0.1))
    assert days.run([20.0, 10.0, 20.0, 20.0])[:3] == [1.0, pytest.approx(0.0, abs=1.0), 1.0]
    assert days.see(np.array([10.0]))[0] > 1


def test_a_day_that_was_observed_in_part_is_neither_evaluated_nor_learnt() -> None:
    """Half of a daily wave is no day; a nightly job that always runs for three hours is observed as usual."""
    days = Days()
    days.run(usual(10))
    before = days.own["mean"].copy()
    days.see(np.array([30.0]), hours=12)
    assert np.isnan(days.see(np.array([10.0]), hours=24)[0])
    assert days.own["mean"] == before
    nightly = Days()
    nightly.own["usual_time"] = 3 / 24
    for value in usual(10):
        nightly.see(np.array([value]), hours=3)
    nightly.see(np.array([30.0]), hours=3)
    assert nightly.see(np.array([10.0]), hours=3)[0] == 1


def test_days_after_an_alarm_are_neither_evaluated_nor_learnt() -> None:
    days = Days()
    days.run(usual(10))
    days.loud[:] = START + days.day * DAY + HOUR
    before = days.own["mean"].copy()
    for _ in range(AFTER // DAY):
        assert np.isnan(days.see(np.array([30.0]))[0])
    assert days.own["mean"] == before
    assert np.isnan(days.see(np.array([10.0]))[0])


@pytest.mark.parametrize("level", [5.0, 20.0])
def test_a_level_that_lasts_becomes_the_reference_with_the_same_deviation(level: float) -> None:
    """After more than four days, silently, whether it counts as bad or not."""
    days = Days()
    days.run(usual(10, size=0.1))
    size = float(days.own["variance"][0])
    scores = days.run([level] * 9)
    assert [abs(score) > 1 for score in scores[:4]] == [False, True, True, True]
    assert np.isnan(scores[4])
    assert all(abs(score) < 1 for score in scores[5:])
    assert float(days.own["anchor"][0]) == pytest.approx(level)
    assert 0 < float(days.own["variance"][0]) <= size


def test_a_new_version_learns_the_reference_anew_and_keeps_the_deviation() -> None:
    days = Days()
    days.run(usual(10, size=0.1))
    size = float(days.own["variance"][0])
    days.means.restart(days.own)
    assert float(days.own["variance"][0]) == size
    scores = days.run([50.0, 50.1, 53.0])
    assert abs(scores[1]) < 1 == scores[2]


def test_few_errors_vary_at_least_as_binomial_ones_do() -> None:
    """Days that happen to be equal do not make a usual number of errors odd: 30 of 24,000 instead of 24."""
    days = Days(counted=True)
    scores = days.run([0.001] * 9 + [0.00125, 0.002], weight=1000.0)
    assert 0 < scores[9] < 1 == scores[10]


def test_one_odd_day_after_an_alarm_is_no_new_level() -> None:
    """The level has not stayed: the days of the alarm were as usual."""
    days = Days()
    days.run(usual(10, size=0.1))
    days.loud[:] = START + days.day * DAY + HOUR
    days.run([10.0] * 4)
    assert days.run([15.0, 10.0])[0] == 1.0
    assert days.reference() == pytest.approx(10.0, abs=0.2)


def test_a_level_that_stays_after_an_alarm_raises_no_second_one_although_a_day_is_missing() -> None:
    days = Days()
    days.run(usual(10, size=0.1))
    days.loud[:] = START + days.day * DAY + HOUR
    days.run([15.0])
    days.see(np.array([15.0]), hours=12)
    assert np.isnan(days.run([15.0] * 3)).all()
    assert np.isnan(days.see(np.array([15.0]))[0])
    assert days.reference() == pytest.approx(15.0)


def test_two_days_beyond_the_limit_in_opposite_directions_are_no_change() -> None:
    days = Days()
    days.run(usual(10, size=0.1))
    assert days.run([5.0, 13.0, 10.0])[:2] == [-1.0, 1.0]


def test_a_new_version_starts_at_its_own_level_after_a_long_trend() -> None:
    days = Days()
    days.run([10.0 + 0.3 * day for day in range(100)])
    days.means.restart(days.own)
    days.run([50.0, 50.0])
    assert days.reference() == pytest.approx(50.0)


@pytest.mark.parametrize("every", [6, 7, 24])
def test_days_with_few_samples_are_learnt(every: int) -> None:
    """One of them more or less is no gap."""
    days, at = Days(), 0
    days.own["usual_time"] = 0
    while at < 40 * 24:
        slot = START + at * HOUR
        days.means.step(
            np.ones(1), np.ones(1), slot, np.full(1, every * HOUR), days.born, days.loud, days.own, counted=False
        )
        at += every
    assert int(days.own["means"][0] + (days.own["recent_weekdays"][0] > 0).sum()) >= 28


RHYTHM = np.array([0.0, 0.0, 0.0, 0.0, 0.0, -10.0, -10.0])
RARE = 0.1 / 90  # the strategy's own: once in ten quarters


def rhythm(days: int) -> Floats:
    return RHYTHM[np.arange(days) % 7][:, None]


def weekly(days: int, models: int = 1, seed: int = 81) -> Floats:
    """Return means of days (days, models) that are lower on two days of seven."""
    return 20 + rhythm(days) + np.random.default_rng(seed).normal(size=(days, models))


def ended(days: Days, value: Floats, hour: int = 0) -> EndedDay:
    """Add a sample at an hour of the next day, and return the result of the day that may be over then."""
    slot, passed = START + days.day * DAY + hour * HOUR, np.full(len(days.own), HOUR)
    weights = np.full(len(days.own), 1e4 if days.counted else 1.0)
    return days.means.step(
        value * weights, weights, slot, passed, days.born, days.loud, days.own, counted=days.counted
    )  # fmt: skip


def alarms(values: Floats, days: Days | None = None) -> NDArray[np.int64]:
    """Return 1 or -1 for each day (days, k) at whose end an alarm begins, otherwise 0; its time is handed back."""
    days = days or Days(values.shape[1])
    days.means, found = DailyMeans(RARE), []
    for value in [*values, values[-1]]:
        scores = np.nan_to_num(days.see(value))
        begins = np.abs(scores) > 1
        days.loud = np.where(begins, START + (days.day - 1) * DAY, days.loud)
        found.append(np.where(begins, np.sign(scores), 0).astype(np.int64))
    return np.array(found[1:])


def test_a_day_of_a_weekly_rhythm_is_compared_with_the_same_weekday() -> None:
    """Compared with scipy: the interval of one more observation, with a mean for each weekday of three weeks."""
    values = weekly(25, seed=85)[:, 0]
    values[24] = 21.0
    scores = Days().run(values.tolist())
    learnt = values[:21].reshape(3, 7)
    deviation = np.sqrt(((learnt - learnt.mean(axis=0)) ** 2).sum() / 14)
    limit = deviation * np.sqrt(1 + 1 / 3) * stats.t.isf(P, 14)
    assert scores[24] == pytest.approx((21 - learnt[:, 3].mean()) / limit, rel=1e-4)


def test_a_weekly_rhythm_does_not_hide_a_slow_rise() -> None:
    """A mean that rises by a standard deviation each day, after three weeks: found about as soon as without rhythm."""
    values = weekly(30, 400) + np.maximum(np.arange(30) - 20, 0)[:, None]
    found = [alarms(each) > 0 for each in (values, values - rhythm(30))]
    assert all(one.any(axis=0).mean() > 0.95 for one in found)
    late, soon = (float(np.median(one.argmax(axis=0))) for one in found)
    assert late - soon <= 1


def test_a_healthy_weekly_rhythm_raises_as_few_alarms_as_none() -> None:
    values = weekly(90, 2000)
    assert (alarms(values) != 0).sum() < 20  # 0.01 in a quarter
    assert (alarms(values - rhythm(90)) != 0).sum() < 20


def test_models_younger_than_a_fortnight_are_compared_with_all_days() -> None:
    """Two days that are higher than their weekdays, but no higher than other days."""
    values = weekly(21, 50)
    values[12:14] += 10
    assert (alarms(values) == 0).all()


def test_a_level_that_stays_raises_one_alarm_in_one_direction() -> None:
    """Not another one in the weeks after, at the same weekdays."""
    values = weekly(60, 200)
    values[30:] += 10
    found = alarms(values)[30:]
    assert (found.sum(axis=0) == np.abs(found).sum(axis=0)).all()
    assert ((found == 1).sum(axis=0) == 1).mean() > 0.98


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_the_weekdays_of_an_incident_raise_no_alarm_a_week_later(length: int) -> None:
    """Neither a second one, nor one in the other direction. Holidays come in pairs, so three days are an incident."""
    values = weekly(60, 200)
    values[29 : 29 + length] += 10
    found = alarms(values)[29:]
    assert (found[: length + 1] == 1).any(axis=0).mean() == pytest.approx(float(length > 2), abs=0.1)
    assert (found[length + 1 :] == 0).all(axis=0).mean() > 0.98


def test_a_day_beyond_half_of_the_limit_begins_a_change_of_a_weekly_rhythm() -> None:
    """Without it, the second day beyond the limit is one of two holidays."""
    values = weekly(31, 200)
    values[29:] += 10
    sudden, begun = values.copy(), values.copy()
    begun[28] += 3.5
    assert (alarms(sudden)[:30] != 0).any(axis=0).mean() < 0.1
    assert (alarms(begun)[30] == 1).mean() > 0.8


def test_a_day_beyond_half_of_the_limit_and_one_beyond_that_of_all_days_are_no_two_days() -> None:
    """The weekday of the second one is unknown."""
    values, days = weekly(31, 200), Days(200)
    values[28], values[29] = values[28] + 3.5, values[29] + 40
    days.means = DailyMeans(RARE)
    for value in values[:30]:
        days.see(value)
    begun, days.own["weekdays"]["weeks"][:, 1] = days.own["run"] == 1, 0
    assert begun.sum() > 50
    assert (days.see(values[30])[begun] == 1).all()


def test_weekends_that_change_for_good_raise_at_most_one_alarm() -> None:
    values = weekly(70, 200)
    values[42:] -= rhythm(70)[42:]
    assert (np.abs(alarms(values)[42:]).sum(axis=0) <= 1).all()


def test_a_weekday_that_changes_for_good_is_learnt_anew() -> None:
    """The first such day is a holiday; a week later, it is no longer odd, nor are the other days dropped."""
    values = weekly(70, 50)
    values[48::7] += 10
    days = Days(50)
    assert (alarms(values, days) == 0).all()
    mean = days.own["anchor"] + days.own["weekdays"]["mean"][:, 6]
    assert float(np.abs(mean - 20).max()) < 3


def test_a_weekday_that_is_unknown_is_compared_with_all_days() -> None:
    """The model was never observed for a whole Wednesday; other weekdays are known."""
    values, days = weekly(32, 50), Days(50)
    for day, value in enumerate(values[:31]):
        days.see(value, hours=2 if day % 7 == 2 and day < 30 else 24)
    assert (days.own["weekdays"]["errors"] >= FEWEST).all()
    reference = days.own["anchor"] + days.own["mean"]
    expected = ended(days, values[31]).expected
    assert expected == pytest.approx(reference)
    assert (expected < 19).all()
    days.see(values[31])
    assert np.median(ended(days, values[31]).expected) == pytest.approx(20, abs=0.5)


def test_a_new_version_learns_its_weekdays_anew_and_keeps_their_deviation() -> None:
    """Its rhythm may be another one: no alarm in its first weeks; a rise in the third is found."""
    days = Days(100)
    alarms(weekly(28, 100), days)
    before = days.own["weekdays"]["deviation"].copy()
    days.means.restart(days.own)
    assert (days.own["weekdays"]["deviation"] == before).all()
    values = 50 + weekly(21, 100, seed=83) - 0.5 * rhythm(21)
    values[17:] += np.arange(3, 15, 3)[:, None]
    found = alarms(values, days)
    assert (found[:17] == 0).mean(axis=0).mean() > 0.99
    assert (found[17:] == 1).any(axis=0).mean() > 0.9


def test_a_weekly_rhythm_of_an_error_rate_is_known() -> None:
    """2 % on weekdays, 1 % on weekends: 1.5 % is a rise on a weekend, and none on weekdays."""
    values = np.where(rhythm(31) < 0, 0.01, 0.02)[:, [0, 0]] + np.random.default_rng(84).normal(0, 2e-4, (31, 2))
    values[25:28, 0], values[22:25, 1] = [0.0235, 0.015, 0.015], 0.015
    days = Days(2, counted=True)
    rises = np.array([days.see(value, 1e4) > 1 for value in values])[1:]
    assert np.flatnonzero(rises[:, 0]).tolist() == [27]
    assert not rises[:, 1].any()


@pytest.mark.parametrize("counted", [False, True])
def test_the_expected_mean_is_that_of_the_weekday(counted: bool) -> None:
    """Also of a day beyond the limit, which is not learnt; in the unit of the mean, and NaN until the day is over."""
    days, values = Days(counted=counted), weekly(28)[:, 0] / (100 if counted else 1)
    days.run(values.tolist(), 1e4)
    days.see(values[:1] * 2, 1e4)
    usual = 0.2 if counted else 20.0
    assert float(ended(days, values[:1]).expected[0]) == pytest.approx(usual, rel=0.07)
    assert np.isnan(ended(days, values[:1], hour=1).expected).all()
