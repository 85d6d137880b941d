"""Daily means: a slow change shows in the mean of a day before it shows in any sample.

The mean of a day is compared with those of about four weeks, in units of their standard deviation. The limit is that of
a prediction interval for one more observation: Hahn and Meeker, Statistical Intervals, Wiley 1991, chapter 4. If the
same weekdays predict it much better, it is compared with them. The newest days are not learnt yet, so that a change
which takes some days does not hide itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, HOUR, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.clipping import NEGLIGIBLE, bound
from bridge.strategies.stats.trend import student
from bridge.strategies.stats.weekday_means import WeekdayMeans

MEMORY = 28  # days behind the reference and its standard deviation
FEWEST = 7  # means before the next one is evaluated
GUARD = 3  # days that are not learnt yet
RHYTHM = 0.5  # variance of predictions from the same weekdays, relative to that of others, below which they are better
AFTER = 4 * DAY  # how long the means after an alarm are neither evaluated nor learnt
BOUND = 3.0  # standard deviations: more than that is not learnt from one day
EARLIER = 6 * HOUR  # from the begin of a day to the time at which the model was first seen: nightly jobs vary a little
WHOLE = 0.9  # least part of the usual time of a day for which a day must be observed: half a wave is no day
FAR, BEGUN = 2, 1  # what a day beyond the limit adds to a run, and what one beyond HALF of it begins in a weekly rhythm
HALF = 0.5  # slow changes begin small
LASTS, WEEKLY_LASTS = 2 * FAR, 2 * FAR + BEGUN  # runs that are no holidays: in a weekly rhythm, these come in pairs
GAIN = 0.2  # weight of the newest day in this usual time
TINY = 1e-12  # standard deviation of constant means, relative to them

Bools = NDArray[np.bool_]


class EndedDay(NamedTuple):
    """Result of a day that is over; both (k,).

    score: distance from the expected mean, as a multiple of the limit, negative below it. NaN while the day continues,
        and where it is not evaluated.
    expected: mean of earlier days, an error rate if counted; NaN while the day continues.
    """

    score: Floats
    expected: Floats


class DailyMeans:
    """Daily means of many models. fields: dtype fields of one model's state; zero = never seen.

    p: probability that the mean of a day is beyond the limit of one direction, without a change.
    """

    fields: tuple[Any, ...] = (
        ("sum", np.float64), ("weight", np.float32), ("time", np.float32), ("usual_time", np.float32),
        ("anchor", np.float64),  # all other means are relative to this one
        ("mean", np.float32), ("variance", np.float64), ("recent", np.float32, (GUARD, 2)),
        ("recent_weekdays", np.uint8, (GUARD,)),  # of the days that are not learnt yet, the oldest first; 1 to 7
        ("means", np.uint8), ("deviations", np.uint8), ("weekdays", list(WeekdayMeans.fields)),
        ("run", np.int8),  # successive days beyond the limit, FAR for each, negative below it
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self._limits = student(1 - p, MEMORY)

    def step(
        self, sums: Floats, weights: Floats, slot: Timestamp, passed: NDArray[Any], born: NDArray[np.int64],
        loud: NDArray[np.int64], own: StateColumn, *, counted: bool,
    ) -> EndedDay:  # fmt: skip
        """Evaluate days (k,) that are over, and add a sample to the new day; the state own (k,) is changed in place.

        The scores of the first days beyond the limit are at most 1: they may be holidays.
        sums, weights: (k,), values and ones; or errors and requests, if counted.
        passed: (k,) ms since each model's last sample. born: (k,), its first sample. loud: (k,), its last alarm.
        """
        begin = born - EARLIER
        day = (slot - passed - begin) // DAY
        over = (own["weight"] > 0) & ((slot - begin) // DAY != day)
        result = EndedDay(np.full(len(own), np.nan), np.full(len(own), np.nan))
        if over.any():
            ended = own[over]
            step = np.minimum(passed[over], HOUR) / DAY
            since = np.where(loud[over] > 0, slot - loud[over], AFTER + 2 * DAY)
            result.score[over], result.expected[over] = self._close(ended, since, step, day[over] % 7, counted=counted)
            own[over] = ended
        own["sum"] += sums
        own["weight"] += weights
        own["time"] += np.minimum(passed, HOUR) / DAY
        return result

    @staticmethod
    def restart(own: StateColumn) -> None:
        """Learn the means anew, and keep their standard deviations; own (k,) is changed in place."""
        for name in ("sum", "weight", "time", "mean", "recent_weekdays", "means", "run"):
            own[name] = 0
        own["weekdays"]["weeks"] = 0

    def _close(
        self, own: StateColumn, since: NDArray[np.int64], step: Floats, weekday: NDArray[np.int64], *, counted: bool
    ) -> EndedDay:
        """Evaluate days (k,), learn from them, and begin new ones.

        since: (k,) ms since the last alarm, which makes means unusual. step: (k,), part of a day for which a sample
        stands, so that a day with one sample less is whole, too. The first day begins at any time, and is none.
        """
        mean, least = _mean(own, counted=counted)
        whole = (own["usual_time"] > 0) & (own["time"] >= WHOLE * own["usual_time"] - step)
        gain = np.where(own["usual_time"] > 0, GAIN, 1.0)
        own["usual_time"] += gain * (own["time"] - own["usual_time"])
        own["anchor"] = np.where(whole & (own["means"] == 0), mean, own["anchor"])
        scores, usual, weekly = self._compare(mean, weekday, least, own)
        scores[~whole] = np.nan
        alarmed, far = since <= AFTER, np.abs(scores) > 1
        _widen(mean, far & ~weekly & (own["run"] * np.nan_to_num(scores) < 0), own)
        run = _run(own["run"].astype(np.int64), scores, whole, weekly)
        stays = (np.abs(run) >= LASTS) & (since <= AFTER + DAY)
        moved = far & ~alarmed & ((np.abs(run) // FAR > AFTER // DAY) | stays)
        self._learn(mean, weekday, whole, alarmed | far, scores, own)
        WeekdayMeans.forget(weekday, far & weekly, own["weekdays"])
        _move(mean, weekday, moved, own)
        own["run"] = np.where(moved, 0, run)
        own["sum"], own["weight"], own["time"] = 0.0, 0.0, 0.0
        lasts = np.abs(run) >= np.where(weekly, WEEKLY_LASTS, LASTS)
        shown = np.where(lasts, scores, np.clip(scores, -1.0, 1.0))
        return EndedDay(
            np.where(alarmed | moved, np.nan, shown),
            np.sin(np.clip(usual, 0, np.pi / 2)) ** 2 if counted else usual,
        )

    def _compare(
        self, mean: Floats, weekday: NDArray[np.int64], least: Floats, own: StateColumn
    ) -> tuple[Floats, Floats, Bools]:
        """Return the score of a day, its expected mean, and whether this is the one of its weekday.

        All (k,). Scores are NaN while they are unknown.
        """
        level, means, deviations = mean - own["anchor"], own["means"].astype(np.float64), own["deviations"]
        variance = np.maximum(own["variance"], least) * (1 + 1 / np.maximum(means, 1))
        far, noise = level - own["mean"], np.sqrt(variance)
        varied = noise >= NEGLIGIBLE * np.abs(far)  # constant days do not show how far the next one may be
        known = (means > 0) & (deviations >= FEWEST - 1) & varied
        scores = np.where(known, far / (noise * self._limits[deviations]), np.nan)
        week = own["weekdays"]
        same, spread = WeekdayMeans.predict(weekday, least, week)
        # all days vary little if weekends are always odd, and so never learnt: then their distance counts
        others = np.maximum(variance, np.where(WeekdayMeans.repeats(weekday, week), (same - own["mean"]) ** 2, 0.0))
        weekly = known & (spread < RHYTHM * np.minimum(others, WeekdayMeans.rhythm(week)))
        scores = np.where(weekly, (level - same) / (np.sqrt(spread) * self._limits[week["errors"]]), scores)
        return scores, own["anchor"] + np.where(weekly, same, own["mean"]), weekly

    def _learn(
        self, mean: Floats, weekday: NDArray[np.int64], whole: Bools, odd: Bools, scores: Floats, own: StateColumn
    ) -> None:
        """Learn a day at once while few are known; otherwise let it wait, and learn the oldest that waits.

        Odd days are not learnt, nor are those that wait then: they may belong to the same change. But an odd day that
        is usual on its weekday is learnt for that weekday.
        """
        level, of_week = mean - own["anchor"], own["recent_weekdays"]
        usual = WeekdayMeans.is_usual(level, own["mean"], weekday, own["weekdays"]) | (np.abs(scores) < HALF)
        WeekdayMeans.learn(level, weekday, whole & odd & usual, own["weekdays"])
        of_week[odd] = 0
        waiting = (of_week > 0).sum(axis=1)
        fine, new = whole & ~odd, np.stack([level, level - own["mean"]], axis=1)
        few = own["means"] < FEWEST
        full = fine & ~few & (waiting == GUARD)
        learnt = np.where(few[:, None], new, own["recent"][:, 0].astype(np.float64))
        which, day = (fine & few) | full, np.where(few, weekday, of_week[:, 0] - 1)
        _add(learnt, which, own)
        WeekdayMeans.learn(learnt[:, 0], day, which, own["weekdays"])
        waits = np.flatnonzero(fine & ~few)
        place = np.minimum(waiting[waits], GUARD - 1)
        for name, newest in (("recent", new), ("recent_weekdays", weekday + 1)):
            recent = own[name]
            recent[full, :-1] = recent[full, 1:]
            recent[waits, place] = newest[waits]


def known_from(own: np.void, born: Timestamp, looked: Timestamp) -> Timestamp:
    """Return about when enough whole days of a model are known to evaluate the next one, 0 = now.

    born, looked: times of its first and its latest sample.
    """
    missing = int(own["means"] == 0) + max(FEWEST - 1 - int(own["deviations"]), 0)
    begin = born - EARLIER
    first = max((looked - begin) // DAY, 1)  # the first day is not whole
    return begin + (first + missing) * DAY if missing else 0


def _run(run: NDArray[np.int64], scores: Floats, whole: Bools, weekly: Bools) -> NDArray[np.int64]:
    """Return the run (k,) after a day: FAR for each successive whole day beyond the limit, negative below it.

    In a weekly rhythm, a day beyond HALF of the limit begins a run with BEGUN.
    """
    size, sign = np.abs(scores), np.nan_to_num(np.sign(scores)).astype(np.int64)
    first = sign * np.where(size > 1, FAR, np.where(weekly & (size > HALF), BEGUN, 0))
    longer = np.where((size > 1) & (run * sign > 0), run + FAR * sign, first)
    return np.clip(np.where(whole, longer, run), -99, 99)


def _widen(mean: Floats, which: Bools, own: StateColumn) -> None:
    """Learn the distance of a day (k,) that follows one beyond the limit on the other side; change own (k,) in place.

    Such days are no slow change: days have come to differ more. Few of the days before count beside them, and their
    mean is not learnt.
    """
    deviations = np.where(which, np.minimum(own["deviations"] + 1, FEWEST), own["deviations"])
    square = (mean - own["anchor"] - own["mean"]) ** 2
    own["variance"] += np.where(which, (square - own["variance"]) / np.maximum(deviations, 1), 0.0)
    own["deviations"] = deviations


def _move(mean: Floats, weekday: NDArray[np.int64], moved: Bools, own: StateColumn) -> None:
    """Make the mean of a day (k,) the reference where a level has stayed; change own (k,) in place."""
    own["anchor"] = np.where(moved, mean, own["anchor"])
    own["mean"], own["means"] = np.where(moved, 0, own["mean"]), np.where(moved, 1, own["means"])
    week = own["weekdays"]
    week["weeks"][moved] = 0
    WeekdayMeans.learn(np.zeros(len(own)), weekday, moved, week)


def _mean(own: StateColumn, *, counted: bool) -> tuple[Floats, Floats]:
    """Return the mean of a day and its least variance, both (k,).

    The mean of counts is the arcsine of the square root of the error rate (Anscombe, Biometrika 35, 1948), and its
    least variance that of binomial errors.
    """
    weight = own["weight"].astype(np.float64)
    if counted:
        rate = (own["sum"] + 0.375) / (weight + 0.75)
        return np.arcsin(np.sqrt(np.clip(rate, 0.0, 1.0))), 0.25 / (weight + 0.5)
    mean = own["sum"] / weight
    return mean, (TINY * mean) ** 2 + TINY**2


def _add(found: Floats, which: Bools, own: StateColumn) -> None:
    """Add a day's mean, and its deviation from the reference of then (k, 2), to mean and variance; change own (k,).

    The deviation is a prediction error, whose variance is 1 + 1 / n times that of the means. Those of constant days do
    not count once a day differs.
    """
    means, deviations = own["means"].astype(np.float64), own["deviations"].astype(np.float64)
    apart, known = np.stack([found[:, 0] - own["mean"], found[:, 1]], axis=1), deviations >= FEWEST - 1
    most = bound((BOUND * np.sqrt(own["variance"]))[:, None], apart, known[:, None])
    level, deviation = np.clip(apart, -most, most).T
    square = deviation**2 * means / (means + 1)
    second, constant = which & (means > 0), known & np.isinf(most[:, 1]) & (deviation != 0)
    deviations = np.where(second, np.where(constant, 1, np.minimum(deviations + 1, MEMORY)), deviations)
    own["variance"] += np.where(second, (square - own["variance"]) / np.maximum(deviations, 1), 0.0)
    means = np.where(which, np.minimum(means + 1, MEMORY), means)
    own["mean"] += np.where(which, level / np.maximum(means, 1), 0.0)
    own["means"], own["deviations"] = means, deviations
