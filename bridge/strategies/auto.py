"""`auto`: the default strategy, which needs no limit."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import ERRORS, VALUE, EventBatch, EventKind
from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies import auto_stages
from bridge.strategies.auto_verdicts import (
    CHANGE_INDEX,
    DAY_INDEX,
    EXCESS_INDEX,
    RESIDUAL_INDEX,
    SHIFT_INDEX,
    STATISTICS,
    VALUE_INDEX,
    AutoVerdicts,
    describe,
)  # fmt: skip
from bridge.strategies.base import RetrainStrategy, StateColumn
from bridge.strategies.stats import scale
from bridge.strategies.stats.block_maxima import FIRST_HOURS, BlockMaxima, Peaks, forget
from bridge.strategies.stats.confirmation import ALMOST, confirmed_by_any, needed_score
from bridge.strategies.stats.counts import CountingConfig, Counts, counts, take_due
from bridge.strategies.stats.daily_means import DailyMeans
from bridge.strategies.stats.error_bursts import ErrorBursts, ends_by_chance
from bridge.strategies.stats.hourly_range import HourlyRange
from bridge.strategies.stats.pooling import grown, pool
from bridge.strategies.stats.scale import LOGIT, backward, both, forward
from bridge.strategies.stats.seasonal_baseline import MAD, SeasonalBaseline
from bridge.strategies.stats.share_cusum import FALL, ShareCusum
from bridge.strategies.stats.shift import LEAST_SUM, cusum

WINDOW = 5 * MINUTE  # samples that arrive more often are combined
TESTS = 3  # the residual repeats what the others see, and is no further test
QUARTER = 90  # days
PROMISED = {"low": 0.3, "normal": 1.0, "high": 6.0}  # false requests of a model in QUARTER
CONFIRMED = {"low": 2.0, "normal": 12.0, "high": 54.0}  # quiet days in QUARTER with a peak that counts if confirmed
LONE = (0.3, 0.03, 0.3, 0.0)  # shares of PROMISED at which each statistic raises an alarm without confirmation
REPEATS = {1: (0, 0, 0, 0), 2: (1, 1, 0, 1)}  # by directions that count: whether correlated noise confirms statistics
LONE_BURST, DAILY = 0.3, 0.1  # the same for the excess of errors, and for the mean of a day
UNEXPECTED = 1.0  # score of the residual below which a value is no higher than expected
FEW_DAYS, UNSURE = 3, 1.5  # days until waves and bursts of an error rate are known, and the factor of the limit before
CALM, FARTHEST = 0.5, 1e30  # the signal is calm again when its score is below this; highest score that is stored
LASTS = HOUR  # how long an alarm continues after the last sample that was not calm
FIRST = 12  # samples that may show that a signal is a proportion
SAME = HOUR  # an unchanged value is evaluated again after this time
_WORSE = frozenset({EventKind.LATENCY, EventKind.DRIFT, EventKind.INFERENCE_ERROR})

Bools = NDArray[np.bool_]


class AutoConfig(CountingConfig):
    """Parameters of `auto: {}`.

    - `side`: direction that counts; by default `up` for latency, drift and error rate, `both` for custom signals
    - `window`: range of the signal's expressions; samples are combined over this range, at least over five minutes
    - `sensitivity`: false retrain requests per model and quarter that are accepted: `low` 0.3, `normal` 1, `high` 6
    """

    side: Literal["up", "down", "both"] | None = None
    sensitivity: Literal["low", "normal", "high"] = "normal"


class AutoStrategy(RetrainStrategy):
    """Strategy that is breached when a signal behaves as never before; the default of rules that name none.

    When to use: if you know no limit for the signal. For errors and requests, a CUSUM detects an increased error rate.
    For other signals, the value, its change, its residual from a daily and weekly baseline, and the CUSUM of the
    residual are each compared with their past maxima. The mean of a day is compared with those of the last weeks. New
    levels and repeated peaks become usual within days.
    Sources: Page, Biometrika 41 (1954); Coles, An Introduction to Statistical Modeling of Extreme Values, 2001.
    """

    name = "auto"
    Config = AutoConfig
    needs = frozenset({VALUE})
    history = 14 * DAY
    warm_up = FIRST_HOURS * HOUR
    inherits = True

    def __init__(self, config: AutoConfig) -> None:
        self._config = config
        self._range = parse_duration(config.window)
        self._window = max(self._range, WINDOW)
        trials = FALL * QUARTER * DAY / max(self._window, HOUR)  # a rise is one of the mean of an hour
        self._limit = math.log(trials / PROMISED[config.sensitivity])  # Lorden's bound
        often, rare = (each[config.sensitivity] / (QUARTER * TESTS) for each in (CONFIRMED, PROMISED))
        self._maxima = BlockMaxima(
            len(STATISTICS), often, [rare * share for share in LONE],
            [CHANGE_INDEX, CHANGE_INDEX, SHIFT_INDEX, RESIDUAL_INDEX],
        )  # fmt: skip
        self._bursts = ErrorBursts(len(STATISTICS), often, rare * LONE_BURST, self._window)
        self._baseline, self._range_by_hour, self._cusum = SeasonalBaseline(), HourlyRange(), ShareCusum()
        daily = DAILY * PROMISED[config.sensitivity] / QUARTER
        self._days = {width: DailyMeans(daily / width) for width in (1, 2)}
        self.state_dtype = np.dtype([
            ("at", np.int64), ("cell", np.int32), ("seen", np.int64), ("sum", np.float64), ("samples", np.int32),
            ("looked", np.int64), ("last", np.float64), ("sums", np.float32, (2,)), ("over", np.int64, (2,)),
            ("on", np.bool_), ("loud", np.int64), ("known", np.bool_), ("scale", np.int8),
            ("score", np.float32), ("highest", np.float32), ("usual", np.float32), ("which", np.int8),
            ("side", np.int8), ("next", np.int64), ("requests", np.float32), ("low", np.float32), ("high", np.float32),
            ("habits", list(SeasonalBaseline.fields)), ("extremes", self._maxima.fields),
            ("hours", list(HourlyRange.fields)), ("shares", list(ShareCusum.fields)),
            ("days", list(DailyMeans.fields)),
        ])  # fmt: skip

    def successor(self, former: StateColumn) -> StateColumn:
        """Return the state of new versions: season, noise, usual peaks but those of the value, and usual error rate.

        The level is their own, and is learnt anew.
        """
        state = np.zeros(len(former), former.dtype)
        for name in ("scale", "habits", "extremes", "shares", "days"):
            state[name] = former[name]
        SeasonalBaseline.move(state["habits"])
        forget(state["extremes"], VALUE_INDEX)
        ShareCusum.restart(state["shares"])
        DailyMeans.restart(state["days"])
        return state

    def newcomer(self, siblings: StateColumn) -> StateColumn:
        """Return the state (1,) of a new pipeline: season, noise and peaks of its siblings, wider where they differ."""
        return pool(self.successor(siblings[grown(siblings)]), RESIDUAL_INDEX)

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> AutoVerdicts:
        """Evaluate models whose window ends, and return verdicts from the alarms that are on then."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        counted = VALUE not in batch.columns and ERRORS in batch.columns
        values = batch.values()
        sample = counts(batch, self._config) if counted else None
        usable = scale.usable(values, batch) if sample is None else sample.usable
        self._finish(usable, batch, memory, counted=counted)
        due = self._due(usable, batch.slot, memory)
        if sample is None:
            memory["sum"] += np.where(usable, values, 0.0)
            memory["samples"] += usable
        else:
            self._count(sample, batch.slot, memory)
        self._end(due, batch.slot, batch, memory, counted=counted)
        memory["on"] &= batch.slot - memory["loud"] < LASTS + self._window
        return self._verdicts(batch, usable, memory, counted=counted)

    # ------------------------------------------------------------ windows

    def _finish(self, usable: Bools, batch: EventBatch, memory: StateColumn, *, counted: bool) -> None:
        """Evaluate windows whose last expected sample never came, once the next window begins."""
        cell = batch.slot // self._window
        fresh = usable & (memory["cell"] != cell)
        if not fresh.any():
            return
        late = fresh & ((memory["samples"] > 0) | (memory["requests"] > 0))
        for past in np.unique(memory["cell"][late]).tolist():
            ended = late & (memory["cell"] == past)
            self._end(ended, (past + 1) * self._window - 1, batch, memory, counted=counted)
        memory["cell"] = np.where(fresh, cell, memory["cell"])

    def _due(self, usable: Bools, slot: Timestamp, memory: StateColumn) -> Bools:
        """Return the models (k,) whose window ends before the next sample, if the interval stays the same.

        Also add up the time for which each model was seen; a gap counts as one hour at most.
        """
        step = np.where(memory["at"] > 0, slot - memory["at"], 0)
        seen = np.where(memory["at"] > 0, np.minimum(step, HOUR), self._window)
        memory["seen"] += np.where(usable, seen, 0)
        memory["at"] = np.where(usable, slot, memory["at"])
        due: Bools = usable & ((slot + step) // self._window != slot // self._window)
        return due

    def _count(self, sample: Counts, slot: Timestamp, memory: StateColumn) -> None:
        """Add up the samples of a window, leaving out those that overlap."""
        taken = take_due(memory["next"], sample.some, slot, self._range)
        memory["sum"] += np.where(taken, sample.errors, 0.0)
        memory["requests"] += np.where(taken, sample.total, 0.0)

    # ------------------------------------------------------------ evaluation

    def _end(self, due: Bools, slot: Timestamp, batch: EventBatch, memory: StateColumn, *, counted: bool) -> None:
        """Evaluate windows (k,) that end at `slot`, and begin new ones.

        Windows without requests are skipped, and so are unchanged values that were evaluated within the last hour.
        """
        if not due.any():
            return
        mean, looked = memory["sum"] / np.maximum(memory["samples"], 1), memory["looked"]
        same = (mean == memory["last"]) & (memory["at"] - looked < SAME) & (looked > 0)
        bound = np.flatnonzero(same & (memory["scale"] == LOGIT) & ((mean == 0) | (mean == 1)))
        numbers = forward(mean[bound], batch, np.ones(len(bound), np.bool_))
        same[bound] = ~self._baseline.far(numbers, memory["habits"][bound])  # saturated, not an old result
        worth = due & (memory["requests"] > 0 if counted else ~same)
        look = self._look_at_counts if counted else self._look_at_values
        if worth.all():
            look(slot, batch, memory)
        elif worth.any():
            own = memory[worth]
            look(slot, batch, own)
            memory[worth] = own
        for name in ("sum", "samples", "requests"):
            memory[name] = np.where(due, 0, memory[name])

    def _look_at_counts(self, slot: Timestamp, batch: EventBatch, own: StateColumn) -> None:
        passed = np.where(own["looked"] > 0, slot - own["looked"], self._window)
        shares, hours, extremes = own["shares"], own["hours"], own["extremes"]
        errors, requests = own["sum"], own["requests"]
        change = self._cusum.step(errors, requests, slot, passed, own["seen"], self._limit, ~own["on"], shares)
        own["looked"], own["seen"], own["known"] = slot, 0, change.known
        days = extremes["days"][:, 0, 0]
        margin = change.error * (0.5 + 2.0 / (days + 1.0)) / 3
        self._range_by_hour.step(change.near, margin, slot, passed, np.zeros_like(own["on"]), hours)
        upper, of_day = self._range_by_hour.upper(slot, hours)
        highest, least = ends_by_chance(upper, change.error)
        again = self._baseline.comes_again(own["on"], slot, passed, own["habits"])
        burst, over = self._bursts, own["over"][:, 0]
        found = burst.step(errors, requests, change.near, change.usual, least, slot, passed, over, extremes)
        near = change.near - 3 * margin
        odd = (near > upper) & ((days < FEW_DAYS) | ~found.usual_rate | (hours["level"] - margin > of_day))
        total = np.where(odd, change.total, np.minimum(change.total, ALMOST * self._limit))
        score = np.maximum(total, found.score * self._limit) / np.where(days < FEW_DAYS, UNSURE, 1.0)
        hit = change.known & (score >= self._limit)
        back = self._cusum.learn(errors, requests, slot, change, self._limit, odd, highest, hit, shares)
        self._score(np.minimum(score, FARTHEST), own)
        own["usual"] = np.where(own["on"] & ~hit, own["usual"], change.usual)
        which = np.where(found.score * self._limit > total, EXCESS_INDEX, VALUE_INDEX)
        own["which"] = np.where(own["on"] & ~hit, own["which"], which)
        own["low"] = own["high"] = np.where(change.known, change.usual, np.nan)
        likely = odd & (change.total >= self._limit / 2)
        was, since = own["on"].copy(), slot - own["loud"]
        self._alarm(hit, likely, slot, own)
        self._range_by_hour.mark_alarms(likely | own["on"], own["on"] & ~was, since, back, again, hours)
        self._add_to_day(errors, requests, slot, passed, batch, own)

    def _look_at_values(self, slot: Timestamp, batch: EventBatch, own: StateColumn) -> None:
        mean = own["sum"] / np.maximum(own["samples"], 1)
        self._choose_scale(mean, batch, own)
        logit = own["scale"] == LOGIT
        numbers = forward(mean, batch, logit)
        passed = np.where(own["looked"] > 0, slot - own["looked"], self._window)
        habits, extremes = own["habits"], own["extremes"]
        again = own["on"] & self._baseline.comes_again(own["on"], slot, passed, habits)
        odd = own["on"] | (slot - extremes["born"] < DAY)
        surprise = self._baseline.step(numbers, slot, passed, odd, habits, again)
        change = np.where(own["looked"] > 0, numbers - forward(own["last"], batch, logit), np.nan)
        own["last"], own["looked"] = mean, slot
        shift = cusum(surprise.z, slot, extremes["born"], own["sums"])
        residual = numbers - surprise.expected
        statistics = np.stack([both(numbers), both(change), shift, both(residual)], 1)
        sides = self._sides(batch)
        peaks = self._maxima.step(statistics[:, :, sides], slot, extremes, sides)
        hours, days = own["hours"], extremes["days"][:, CHANGE_INDEX, sides.start]
        margin = MAD * habits["spread"] * (0.5 + 2.0 / (days + 1.0))
        second = (days == 1) | ((days == 0) & (own["loud"] > 0))
        outside = self._range_by_hour.step(numbers, margin, slot, passed, second, hours)
        self._mask(
            peaks.score, outside.sample[:, sides], outside.level[:, sides] & (shift[:, sides] > LEAST_SUM),
            extremes["days"][:, :, sides],
        )  # fmt: skip
        own["known"] |= ~np.isnan(peaks.mean[:, CHANGE_INDEX, 0])
        self._bounds(peaks, surprise.expected, batch, own)
        self._evaluate(peaks, surprise.expected, slot, passed, batch, own)
        self._range_by_hour.mark(own["on"], hours)
        self._add_to_day(numbers, np.ones(len(own)), slot, passed, batch, own)

    def _add_to_day(
        self, sums: Floats, weights: Floats, slot: Timestamp, passed: NDArray[np.int64], batch: EventBatch,
        own: StateColumn,
    ) -> None:  # fmt: skip
        """Add a sample to the day, and set an alarm if the mean of the day before is far from those of recent weeks."""
        counted, days = VALUE not in batch.columns, own["days"]
        sides = slice(0, 1) if counted else self._sides(batch)
        means, born = self._days[sides.stop - sides.start], own["extremes"]["born"]
        ended = means.step(sums, weights, slot, passed, born, own["loud"], days, counted=counted)
        own["days"], scores = days, both(ended.score)[:, sides]
        begins = (scores > 1).any(axis=1) & ~own["on"]
        if not begins.any():
            return
        side = np.where(begins[:, None], scores, 0.0).argmax(axis=1)
        farthest = scores[np.arange(len(own)), side] * (self._limit if counted else self._maxima.limit)
        usual = ended.expected if counted else backward(ended.expected, batch, own["scale"] == LOGIT)
        for name, column in (("which", DAY_INDEX), ("side", 1 - 2 * (side + sides.start)), ("usual", usual)):
            own[name] = np.where(begins, column, own[name])
        self._score(np.where(begins, np.minimum(farthest, FARTHEST), own["score"]), own)
        self._alarm(begins, np.zeros_like(begins), slot, own)

    @staticmethod
    def _choose_scale(values: Floats, batch: EventBatch, own: StateColumn) -> None:
        """Choose the scale of models by their first values; proportions that leave [0, 1] on day one start anew.

        Values of 0 and 1 leave the scale open; if it stays as it is, what was learnt from them is kept.
        """
        young, called = own["extremes"]["days"].max(axis=(1, 2)) == 0, scale.chosen(values, batch)
        moved = np.where((values < 0) | (values > 1), young, own["habits"]["count"] < FIRST) & (called > own["scale"])
        if (other := moved & ((own["scale"] == LOGIT) | (called == LOGIT))).any():
            anew = own[other]
            for name in ("habits", "extremes", "hours", "days", "sums", "over", "looked", "known"):
                anew[name] = np.zeros((), anew[name].dtype)
            own[other] = anew
        own["scale"] = np.where(moved, called, own["scale"])

    @staticmethod
    def _mask(scores: Floats, jumped: Bools, moved: Bools, days: NDArray[np.uint16]) -> None:
        """Lower scores (k, 4, s) that are no evidence: usual levels, small sums, and levels on a first day.

        jumped, moved: (k, s), whether a sample, and its level, leave the range that is known.
        """
        unexpected = ~(scores[:, RESIDUAL_INDEX] < UNEXPECTED)
        for statistic, real in (
            (VALUE_INDEX, unexpected), (CHANGE_INDEX, jumped), (SHIFT_INDEX, moved), (RESIDUAL_INDEX, jumped),
        ):  # fmt: skip
            scores[:, statistic] = np.where(real, scores[:, statistic], np.minimum(scores[:, statistic], 0.0))
        for statistic in (VALUE_INDEX, SHIFT_INDEX):
            scores[:, statistic] = np.where(days[:, statistic] > 0, scores[:, statistic], np.nan)

    def _bounds(self, peaks: Peaks, expected: Floats, batch: EventBatch, own: StateColumn) -> None:
        """Store the bounds beyond which a lone value is an alarm: above its usual peaks, and unexpected."""
        sides, ratio = self._sides(batch), 1 / self._maxima.limit
        young = own["extremes"]["days"][:, VALUE_INDEX, sides.start] == 0
        widths = (peaks.limit - peaks.mean) * ratio
        far = peaks.mean[:, VALUE_INDEX] + peaks.lone[:, VALUE_INDEX] * widths[:, VALUE_INDEX]
        near = peaks.mean[:, RESIDUAL_INDEX] + UNEXPECTED * widths[:, RESIDUAL_INDEX] + both(expected)[:, sides]
        limits = np.where(young[:, None], np.nan, np.fmax(far, near))
        usual = np.where(young, np.nan, expected)
        own["high"] = limits[:, 0] if sides.start == 0 else np.maximum(usual, -limits[:, 0])
        own["low"] = -limits[:, -1] if sides.stop == 2 else np.minimum(usual, limits[:, 0])

    def _sides(self, batch: EventBatch) -> slice:
        """Return which sides count, of up and down."""
        wanted = self._config.side or ("up" if batch.event in _WORSE else "both")
        return {"up": slice(0, 1), "down": slice(1, 2), "both": slice(0, 2)}[wanted]

    def _evaluate(
        self, peaks: Peaks, expected: Floats, slot: Timestamp, passed: NDArray[np.int64], batch: EventBatch,
        own: StateColumn,
    ) -> None:  # fmt: skip
        """Set alarms by the highest score (k, 4, s) among the sides that count.

        A score must be confirmed by another in the same direction, within an hour or in the next window, unless it is
        above the limit of a lone score: noise with heavy tails has lone peaks, and incidents last.
        """
        sides, limit = self._sides(batch), self._maxima.limit
        scores = np.where(np.isnan(peaks.score), -np.inf, peaks.score)
        seen = scores.reshape(len(own), -1)
        index, rows = seen.argmax(1), np.arange(len(own))
        best, width = seen[rows, index], scores.shape[2]
        which, side = index // width, index % width
        repeats = np.outer(self._baseline.correlation(passed, own["habits"]), REPEATS[width])
        needed = needed_score(limit, peaks.lone[:, [VALUE_INDEX]], repeats)
        twice = confirmed_by_any(scores, needed, slot, passed, own["over"][:, sides])
        hit = (best > limit) & (own["on"] | twice | (scores > peaks.lone).any(axis=(1, 2)))
        begins = hit & ~own["on"]
        if begins.any():
            sign = 1 - 2 * (side + sides.start)
            logit = own["scale"] == LOGIT
            mean = backward(sign * peaks.mean[rows, which, side], batch, logit)
            usual = np.where(which == VALUE_INDEX, mean, backward(expected, batch, logit))
            for name, column in (("which", which), ("side", sign), ("usual", usual)):
                own[name] = np.where(begins, column, own[name])
        self._score(np.clip(best, -99.0, FARTHEST), own)
        self._alarm(hit, best > CALM, slot, own)
        past = begins[:, None] & (own["sums"] > LEAST_SUM)
        own["sums"] = np.where(past, 0.0, own["sums"])

    @staticmethod
    def _score(score: Floats, own: StateColumn) -> None:
        best = np.where(own["which"] == DAY_INDEX, own["highest"], np.maximum(own["highest"], score))
        own["score"], own["highest"] = score, np.where(own["on"], best, score)

    @staticmethod
    def _alarm(hit: Bools, loud: Bools, slot: Timestamp, own: StateColumn) -> None:
        own["loud"] = np.where(hit | (own["on"] & loud), slot, own["loud"])
        own["on"] = hit | (own["on"] & (slot - own["loud"] < LASTS))

    # ------------------------------------------------------------ verdicts and reasons

    def _verdicts(self, batch: EventBatch, usable: Bools, memory: StateColumn, *, counted: bool) -> AutoVerdicts:
        known = memory["known"]
        code = np.where(memory["on"], np.int8(Code.BREACHED), np.int8(Code.OK))
        cause = np.where(usable, np.int8(Cause.WARMING_UP), np.int8(Cause.NAN))
        conclusive = known & usable
        code[~conclusive], cause[conclusive] = Code.INCONCLUSIVE, Cause.NONE
        limit = np.full(len(batch), self._limit if counted else self._maxima.limit)
        usual = memory["usual"].astype(np.float64)
        details = (memory["which"].copy(), memory["side"].copy(), usual, memory["highest"].astype(np.float64))
        bounds = (np.where(known, memory[name].astype(np.float64), np.nan) for name in ("low", "high"))
        logit = memory["scale"] == LOGIT
        shown = bounds if counted else (scale.within(backward(bound, batch, logit), logit) for bound in bounds)
        return AutoVerdicts(code, cause, memory["score"].astype(np.float64), limit, *details, *shown)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return how the value differs from its usual behaviour, in the signal's unit."""
        return describe(batch, position, verdicts)

    def detects(self, state: StateColumn) -> str:
        """Return what is detected so far, as auto_stages.detects does."""
        return auto_stages.detects(state, self._window)
