"""`burn_rate`: multiwindow burn rate of an error budget."""

from __future__ import annotations

from itertools import chain
from statistics import NormalDist
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from bridge.domain.batch import ERRORS, TOTAL, EventBatch
from bridge.domain.times import parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig
from bridge.strategies.stats.counts import Bools, CountingConfig, Counts, DurationText, counts, take_due

CELLS = 24  # cells in the ring buffer of a window, whose length is therefore exact to 1/24


class Pair(StrategyConfig):
    """Pair of windows: a model is breached while the burn rates in both windows exceed `factor`.

    Because of the short window, the breach ends soon after the errors stop.
    """

    long: DurationText
    short: DurationText
    factor: float = Field(gt=0)


class BurnRateConfig(CountingConfig):
    """Parameters of `burn_rate: {slo: 0.999}`.

    - `slo`: objective, as the share of inferences without an error over `period`
    - `confidence`: one-sided confidence of the lower bound of the error rate in the long window
    - `min_coverage`: share of a window that must have samples
    """

    slo: float = Field(gt=0, lt=1)
    pairs: tuple[Pair, ...] = Field(
        default=(Pair(long="6h", short="30m", factor=6), Pair(long="3d", short="6h", factor=1)),
        min_length=1, max_length=3,
    )  # fmt: skip
    period: DurationText = "30d"
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    min_coverage: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        most = 1 / (1 - self.slo)
        for pair in self.pairs:
            long, short = parse_duration(pair.long), parse_duration(pair.short)
            if not parse_duration(self.window) <= short < long:
                raise ValueError(f"short ({pair.short}) must be below long ({pair.long}), and not below window")
            if pair.factor >= most:
                raise ValueError(f"factor {pair.factor:g} cannot be passed: when all requests fail, it is {most:.6g}")
        if len({pair.factor for pair in self.pairs}) < len(self.pairs):
            raise ValueError("two pairs have the same factor")
        return self


class BurnRateStrategy(RetrainStrategy):
    """Strategy that is breached while errors burn the budget of an SLO too fast, over a long and a short window.

    When to use: if you have an SLO ("99.9 % of requests are good over 30 days") and counters of requests and errors. A
    burn rate of 1 spends exactly the budget. The long window uses the lower Wilson bound of its error rate, so that one
    failure among ten requests is not a breach.
    Source: Beyer et al. (eds.), The Site Reliability Workbook, O'Reilly 2018, chapter 5, approach 6.
    """

    name = "burn_rate"
    Config = BurnRateConfig
    needs = frozenset({ERRORS, TOTAL})

    def __init__(self, config: BurnRateConfig) -> None:
        self._config = config
        self._budget = 1 - config.slo
        self._z = NormalDist().inv_cdf(config.confidence)
        self._window = parse_duration(config.window)
        windows = chain.from_iterable((pair.long, pair.short) for pair in config.pairs)
        self._lengths = np.array(sorted({parse_duration(window) for window in windows}), np.int64)
        self._indices = [(self._index(pair.long), self._index(pair.short)) for pair in config.pairs]
        self.warm_up = round(config.min_coverage * int(self._lengths[-1]))
        size = len(self._lengths)
        self.state_dtype = np.dtype(
            [
                ("next", np.int64),
                ("seen", np.int64),
                ("cell", np.int64, (size,)),
                ("ring", np.float32, (size, 3, CELLS)),
            ]
        )

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        """Count the samples that are due, and evaluate every pair of windows."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        sample = counts(batch, self._config)
        self._count(sample, memory, batch.slot)
        # einsum sums many short rows five times faster than sum, and each row independently of the others.
        sums = np.einsum("kwcj->kwc", memory["ring"]).astype(np.float64)
        errors, total, samples = np.moveaxis(sums, 2, 0)
        seen = samples * self._window >= self._config.min_coverage * self._lengths
        verdicts = self._evaluate(errors, total, seen)
        _forbid(verdicts, ~sample.usable, Cause.NAN)
        return verdicts

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return burn rate, windows, and the share of the budget that was spent."""
        burn, factor = float(verdicts.statistic[position]), float(verdicts.threshold[position])
        pair = next(pair for pair in self._config.pairs if pair.factor == factor)
        spent = burn * parse_duration(pair.long) / parse_duration(self._config.period)
        return (
            f"signal {batch.name!r}: the error budget burns at least {burn:.3g} times as fast as an objective of"
            f" {100 * self._config.slo:.7g} % allows, over {pair.long} and {pair.short} (limit {factor:g}):"
            f" {100 * spent:.3g} % of the {self._config.period} budget spent in {pair.long}"
        )

    def _index(self, window: str) -> int:
        return int(np.searchsorted(self._lengths, parse_duration(window)))

    def _count(self, sample: Counts, memory: StateColumn, slot: int) -> None:
        """Clear old cells, and add to the newest ones the requests of samples that are due, and the windows seen.

        Both are due independently: a window without requests is seen without delaying a counter step that follows.
        """
        cell = slot * CELLS // self._lengths
        ring, known = memory["ring"], memory["cell"]
        current = (
            cell[:, None] - (cell[:, None] - np.arange(CELLS)) % CELLS
        )  # (w, CELLS): cell number at each ring index
        oldest = known.min(axis=0, initial=slot)
        for window, index in np.argwhere(current > oldest[:, None]).tolist():
            ring[known[:, window] < current[window, index], window, :, index] = 0
        memory["cell"] = cell
        due = np.flatnonzero(take_due(memory["next"], sample.some, slot, self._window))
        added = np.stack([sample.errors[due], sample.total[due]], axis=1)
        seen = np.flatnonzero(take_due(memory["seen"], sample.usable, slot, self._window))
        for window, index in enumerate((cell % CELLS).tolist()):
            ring[due, window, :2, index] += added
            ring[seen, window, 2, index] += 1

    def _evaluate(self, errors: Floats, total: Floats, seen: Bools) -> Verdicts:
        """Verdicts of windows (k, w): one pair that burns is enough, and all must be known to be healthy."""
        known = seen & (total > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(known, errors / total / self._budget, np.nan)
            least = np.where(known, wilson_lower(errors, total, self._z) / self._budget, np.nan)
        shape = (len(errors), len(self._indices))
        burns, sure = np.empty(shape), np.empty(shape, np.bool_)
        factors = np.array([pair.factor for pair in self._config.pairs])
        for column, (long, short) in enumerate(self._indices):
            burns[:, column] = np.fmin(least[:, long], rate[:, short])
            sure[:, column] = known[:, long] & known[:, short]
        high = burns > factors
        breached = np.asarray((high & sure).any(axis=1))
        doubtful = np.asarray((~sure & (high | np.isnan(burns))).any(axis=1))
        worst = np.argmax(np.where(sure | ~high, np.nan_to_num(burns / factors, nan=-1.0), -1.0), axis=1)
        code = np.where(breached, np.int8(Code.BREACHED), np.int8(Code.OK))
        verdicts = Verdicts(code, np.zeros(len(code), np.int8), burns[np.arange(len(code)), worst], factors[worst])
        _forbid(verdicts, doubtful & ~breached, Cause.WARMING_UP)
        _forbid(verdicts, doubtful & ~breached & seen.all(axis=1), Cause.INSUFFICIENT)  # no traffic
        return verdicts


def wilson_lower(errors: Floats, total: Floats, z: float) -> Floats:
    """Return the lower Wilson bound of errors / total (JASA 22, 1927); z: quantile of the one-sided confidence."""
    share, square = errors / total, z * z
    half = z * np.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return np.asarray(np.maximum((share + square / (2 * total) - half) / (1 + square / total), 0.0))


def _forbid(verdicts: Verdicts, doubtful: Bools, cause: Cause) -> None:
    verdicts.code[doubtful] = Code.INCONCLUSIVE
    verdicts.cause[doubtful] = cause
