"""`auto`: the default strategy, which needs no limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import ERRORS, VALUE, EventBatch, EventKind
from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, signal_word
from bridge.strategies.detector import in_unit
from bridge.strategies.stats.block_maxima import BlockMaxima
from bridge.strategies.stats.counts import CountingConfig, Counts, counts, take_due
from bridge.strategies.stats.seasonal_baseline import SeasonalBaseline
from bridge.strategies.stats.share_cusum import LIMIT, ShareCusum

WINDOW = 5 * MINUTE  # samples that arrive more often are combined
STATISTICS = ("value", "change", "shift")
VALUE_INDEX, CHANGE_INDEX, SHIFT_INDEX = range(3)
SCORE = 5.5  # alarm limit: standard deviations above the mean of past block maxima
CALM = 3.0  # the signal is calm again when its score is this far below SCORE
LASTS = HOUR  # how long an alarm continues after the last sample that was not calm
ALLOWANCE, LEAST_SUM = 0.45, 9.5  # CUSUM of the shift: allowance and minimum, in sigmas
LARGEST = 1e30  # values of this magnitude or more, infinities included, count as missing
SAME = HOUR  # an unchanged value is evaluated again after this time
_WORSE = frozenset({EventKind.LATENCY, EventKind.DRIFT, EventKind.INFERENCE_ERROR})

Bools = NDArray[np.bool_]
Int8 = NDArray[np.int8]


class AutoConfig(CountingConfig):
    """Parameters of `auto: {}`.

    - `side`: direction that counts; by default `up` for latency, drift and error rate, `both` for custom signals
    - `window`: range of the expressions; samples more frequent than this, or than every five minutes, are combined
    """

    side: Literal["up", "down", "both"] | None = None


@dataclass(frozen=True, slots=True)
class AutoVerdicts(Verdicts):
    """Verdicts with the cause of each alarm; all (k,).

    which: index of the statistic in STATISTICS.
    side: 1 for up, -1 for down.
    usual: usual level, in the signal's unit.
    highest: highest score since the alarm began.
    """

    which: Int8
    side: Int8
    usual: Floats
    highest: Floats

    def band(self) -> tuple[Floats, Floats]:
        """Return the usual level of breached models as both bounds; NaN elsewhere."""
        level = np.where(self.code == Code.BREACHED, self.usual, np.nan)
        return level, level


class AutoStrategy(RetrainStrategy):
    """Strategy that is breached when a signal behaves as never before; the default of rules that name none.

    When to use: you know no limit for the signal. For errors and requests, a CUSUM detects an increased error rate. For
    other signals, the value, its change, and the CUSUM of its deviation from the daily and weekly baseline are each
    compared with their past maxima. New levels and repeated peaks become usual within days.
    Sources: Page, Biometrika 41 (1954); Coles, An Introduction to Statistical Modeling of Extreme Values, 2001.
    """

    name = "auto"
    Config = AutoConfig
    needs = frozenset({VALUE})
    history = 14 * DAY
    warm_up = DAY

    def __init__(self, config: AutoConfig) -> None:
        self._config = config
        self._range = parse_duration(config.window)
        self._window = max(self._range, WINDOW)
        self._maxima = BlockMaxima(len(STATISTICS))
        self._baseline, self._cusum = SeasonalBaseline(), ShareCusum()
        self.state_dtype = np.dtype([
            ("at", np.int64), ("cell", np.int64), ("seen", np.int64), ("sum", np.float64), ("samples", np.int32),
            ("looked", np.int64), ("last", np.float64), ("sums", np.float64, (2,)), ("on", np.bool_),
            ("loud", np.int64), ("known", np.bool_),
            ("score", np.float64), ("highest", np.float64), ("usual", np.float64), ("which", np.int8),
            ("side", np.int8), ("next", np.int64), ("requests", np.float64),
            ("habits", list(SeasonalBaseline.fields)), ("extremes", self._maxima.fields),
            ("shares", list(ShareCusum.fields)),
        ])  # fmt: skip

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> AutoVerdicts:
        """Evaluate models whose window ends, and return verdicts from the alarms that are on then."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        counted = VALUE not in batch.columns and ERRORS in batch.columns
        values = batch.values()
        sample = counts(batch, self._config) if counted else None
        usable = np.abs(values) < LARGEST if sample is None else sample.usable
        self._finish(usable, batch, memory, counted=counted)
        due = self._due(usable, batch.slot, memory)
        if sample is None:
            memory["sum"] += np.where(usable, values, 0.0)
            memory["samples"] += usable
        else:
            self._count(sample, batch.slot, memory)
        self._end(due, batch.slot, batch, memory, counted=counted)
        memory["on"] &= batch.slot - memory["loud"] < LASTS + self._window
        return self._verdicts(values, usable, memory, LIMIT if counted else SCORE)

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
        mean = memory["sum"] / np.maximum(memory["samples"], 1)
        same = (mean == memory["last"]) & (memory["at"] - memory["looked"] < SAME) & (memory["looked"] > 0)
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

    def _look_at_counts(self, slot: Timestamp, _batch: EventBatch, own: StateColumn) -> None:
        passed = np.where(own["looked"] > 0, slot - own["looked"], self._window)
        shares = own["shares"]
        change = self._cusum.step(own["sum"], own["requests"], passed, own["seen"], shares)
        own["shares"] = shares
        own["looked"], own["seen"] = slot, 0
        own["known"] = change.known
        self._score(change.total, own)
        own["usual"] = np.where(own["on"] & ~change.hit, own["usual"], change.usual)
        self._alarm(change.hit, change.total > LIMIT / 2, slot, own)

    def _look_at_values(self, slot: Timestamp, batch: EventBatch, own: StateColumn) -> None:
        mean = own["sum"] / np.maximum(own["samples"], 1)
        numbers = forward(mean, batch)
        passed = np.where(own["looked"] > 0, slot - own["looked"], self._window)
        habits = own["habits"]
        surprise = self._baseline.step(numbers, slot, passed, habits)
        own["habits"] = habits
        change = np.where(own["looked"] > 0, numbers - forward(own["last"], batch), np.nan)
        own["last"], own["looked"] = mean, slot
        shift = self._add(surprise.z, own)
        statistics = np.stack([np.stack([numbers, -numbers], 1), np.stack([change, -change], 1), shift], 1)
        extremes = own["extremes"]
        means = extremes["mean"].copy()
        scores = self._maxima.step(statistics, slot, extremes)
        own["extremes"] = extremes
        self._evaluate(scores, shift, means, surprise.expected, slot, batch, own)

    @staticmethod
    def _add(z: Floats, own: StateColumn) -> Floats:
        """Return the CUSUMs (k, 2) of rises and falls; NaN where z is unknown."""
        step = np.stack([z, -z], 1) - ALLOWANCE
        known = ~np.isnan(step)
        own["sums"] = np.where(known, np.maximum(own["sums"] + np.where(known, step, 0.0), 0.0), own["sums"])
        return np.where(known, own["sums"], np.nan)

    def _evaluate(
        self, scores: Floats, shift: Floats, means: Floats, expected: Floats, slot: Timestamp, batch: EventBatch,
        own: StateColumn,
    ) -> None:  # fmt: skip
        """Set alarms by the highest score (k, 3, 2) among the sides that count."""
        scores[:, SHIFT_INDEX][~(shift > LEAST_SUM)] = np.minimum(scores[:, SHIFT_INDEX], 0.0)[~(shift > LEAST_SUM)]
        own["known"] |= ~np.isnan(scores[:, VALUE_INDEX, 0])
        wanted = self._config.side or ("up" if batch.event in _WORSE else "both")
        counted = {"up": slice(0, 1), "down": slice(1, 2), "both": slice(0, 2)}[wanted]
        seen = np.where(np.isnan(scores), -np.inf, scores)[:, :, counted].reshape(len(own), -1)
        index = seen.argmax(1)
        best = seen[np.arange(len(own)), index]
        width = counted.stop - counted.start
        which, side = index // width, index % width + counted.start
        hit = best > SCORE
        begins = hit & ~own["on"]
        peak = np.where(side == 0, 1, -1) * means[np.arange(len(own)), which, side]
        usual = np.where(which == VALUE_INDEX, backward(peak, batch), backward(expected, batch))
        for name, column in (("which", which), ("side", 1 - 2 * side), ("usual", usual)):
            own[name] = np.where(begins, column, own[name])
        self._score(np.maximum(best, -99.0), own)
        self._alarm(hit, best > SCORE - CALM, slot, own)
        past = begins[:, None] & (own["sums"] > LEAST_SUM)
        own["sums"] = np.where(past, 0.0, own["sums"])

    @staticmethod
    def _score(score: Floats, own: StateColumn) -> None:
        own["highest"] = np.where(own["on"], np.maximum(own["highest"], score), score)
        own["score"] = score

    @staticmethod
    def _alarm(hit: Bools, loud: Bools, slot: Timestamp, own: StateColumn) -> None:
        own["loud"] = np.where(hit | (own["on"] & loud), slot, own["loud"])
        own["on"] = hit | (own["on"] & (slot - own["loud"] < LASTS))

    # ------------------------------------------------------------ verdicts and reasons

    @staticmethod
    def _verdicts(values: Floats, usable: Bools, memory: StateColumn, limit: float) -> AutoVerdicts:
        known = memory["known"]
        code = np.where(memory["on"], np.int8(Code.BREACHED), np.int8(Code.OK))
        cause = np.where(usable, np.int8(Cause.WARMING_UP), np.int8(Cause.NAN))
        conclusive = known & usable
        code[~conclusive], cause[conclusive] = Code.INCONCLUSIVE, Cause.NONE
        details = (memory[name].copy() for name in ("which", "side", "usual", "highest"))
        return AutoVerdicts(code, cause, memory["score"].copy(), np.full(len(values), limit), *details)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return how the value differs from its usual behaviour, in the signal's unit."""
        word, value = signal_word(batch), float(batch.values()[position])
        if not isinstance(verdicts, AutoVerdicts):
            return f"{word} {in_unit(value, batch)}"
        usual, score = in_unit(float(verdicts.usual[position]), batch), float(verdicts.highest[position])
        limit = float(verdicts.threshold[position])
        if ERRORS in batch.columns and VALUE not in batch.columns:
            return f"{word} {in_unit(value, batch)}, usually {usual} (CUSUM {score:.3g}, limit {limit:g})"
        up = verdicts.side[position] > 0
        text = {
            VALUE_INDEX: f"is {'higher' if up else 'lower'} than ever; usual {'highs' if up else 'lows'} are {usual}",
            CHANGE_INDEX: f"{'rose' if up else 'fell'} more steeply than ever; {usual} was expected",
            SHIFT_INDEX: f"has stayed {'above' if up else 'below'} its usual {usual} for this hour",
        }[int(verdicts.which[position])]
        return f"{word} {in_unit(value, batch)} {text} (score {score:.3g}, limit {limit:g})"


def forward(values: Floats, batch: EventBatch) -> Floats:
    """Return values on a scale where noise does not grow with the level: logarithm of latencies, arcsine of shares."""
    if batch.event is EventKind.LATENCY:
        return np.asarray(np.log(np.maximum(values, 1e-12)))
    if batch.event is EventKind.INFERENCE_ERROR:
        return np.asarray(np.arcsin(np.sqrt(np.clip(values, 0.0, 1.0))))
    return values


def backward(numbers: Floats, batch: EventBatch) -> Floats:
    """Return numbers of that scale as values in the signal's unit."""
    if batch.event is EventKind.LATENCY:
        return np.asarray(np.exp(numbers))
    if batch.event is EventKind.INFERENCE_ERROR:
        return np.asarray(np.sin(np.clip(numbers, 0.0, np.pi / 2)) ** 2)
    return numbers
