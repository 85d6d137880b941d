"""Base class of histogram comparisons: pairs of histograms with common bounds, and merged cells."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.batch import BUCKETS, REFERENCE, REFERENCE_SUM, SUM, EventBatch, EventKind
from bridge.domain.histogram import means
from bridge.domain.times import parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Int8, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig, signal_word
from bridge.strategies.stats import histogram_pool
from bridge.strategies.stats.counts import DurationText

EXPECTED = 5.0  # expected observations per cell; with fewer, chi-square does not fit the statistic
_CHUNK = 4096  # models processed together, so that their columns fit into the CPU cache
_MEANS = ((BUCKETS, SUM), (REFERENCE, REFERENCE_SUM))

Bools = NDArray[np.bool_]


class HistogramConfig(StrategyConfig):
    """Parameters of every histogram comparison.

    - `alpha`: significance level, the accepted share of false positives among equal distributions
    - `n_min`: least number of observations in each histogram
    - `window`: range of the signal's expressions; with it, windows with fewer observations are added up
    """

    alpha: float = Field(default=0.0001, gt=0, lt=1)
    n_min: int = Field(default=100, ge=20)
    window: DurationText | None = None


@dataclass(frozen=True, slots=True, eq=False)
class HistogramPair:
    """Histograms of k models and of their references, at b common bounds.

    bounds: (b,) upper bounds, the last one +Inf.
    current, reference: (b, k) cumulative counts; a bound that only one of them has repeats the count below it.
    n, m: (k,) numbers of observations, whole numbers.
    cause: (k,) why the pair cannot be compared; its counts are 0 then.
    shared: (b, k) both histograms have the bound.
    means, reference_means: (k,) in the signal's unit, NaN without sums.
    """

    bounds: Floats
    current: Floats
    reference: Floats
    n: Floats
    m: Floats
    cause: Int8
    shared: Bools
    means: Floats
    reference_means: Floats


class Comparison(NamedTuple):
    """Result for k models; all (k,).

    statistic: effect size.
    p: p-value of the test.
    breached: significant and large enough.
    blind: the buckets are too coarse to decide.
    """

    statistic: Floats
    p: Floats
    breached: Bools
    blind: Bools


@dataclass(frozen=True, slots=True)
class HistogramVerdicts(Verdicts):
    """Verdicts with the histograms behind those that took several windows, if any."""

    pooled: histogram_pool.Pooled | None = None


class HistogramStrategy(RetrainStrategy):
    """Strategy that compares each histogram with its reference, chunk by chunk.

    Where a window holds too few observations, windows are added up until they suffice.
    """

    needs = frozenset({BUCKETS, REFERENCE})
    gives_p: ClassVar[bool] = True

    def __init__(self, config: HistogramConfig, limit: float) -> None:
        """Set the parameters; limit: least effect size that matters."""
        self._alpha, self._n_min, self._limit = config.alpha, config.n_min, limit
        self._window = 0 if config.window is None else parse_duration(config.window)
        self.state_dtype = histogram_pool.POOL if self._window else None

    @abstractmethod
    def compare(self, pair: HistogramPair) -> Comparison:
        """Compare the two histograms of every model; models with a `cause` have no observations."""

    @abstractmethod
    def summarise(self, batch: EventBatch, pair: HistogramPair) -> str:
        """Return statistic, p and limits of a pair of one model, for the reason of a request."""

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> HistogramVerdicts:
        """Compare the histograms of all models with their references."""
        verdicts = self._compared(batch)
        if state is None or not self._window:
            return verdicts
        histogram_pool.clear_compared(state, np.flatnonzero(verdicts.code != Code.INCONCLUSIVE))
        few = np.flatnonzero(verdicts.cause == Cause.INSUFFICIENT)
        pooled = histogram_pool.add(batch, few, state, self._window, self._n_min)
        if pooled is None:
            return verdicts
        several = self._compared(pooled.batch)
        for whole, part in (
            (verdicts.code, several.code), (verdicts.cause, several.cause), (verdicts.statistic, several.statistic),
            (verdicts.p, several.p),
        ):  # fmt: skip
            if whole is not None and part is not None:
                whole[pooled.positions] = part
        histogram_pool.clear_compared(state, pooled.positions)
        return replace(verdicts, pooled=pooled)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return the change of the mean, the result of the test, and the numbers of observations."""
        several = ""
        if isinstance(verdicts, HistogramVerdicts) and verdicts.pooled is not None:
            found = np.flatnonzero(verdicts.pooled.positions == position)
            if len(found):
                batch, position, several = verdicts.pooled.batch, int(found[0]), " (several windows)"
        pair = histogram_pair(batch, slice(position, position + 1), 0)
        if pair is None:
            return f"{signal_word(batch)} has no histograms to compare"
        return (
            f"{mean_change(batch, position)}; {self.summarise(batch, pair)};"
            f" {pair.n[0]:.0f} observations, {pair.m[0]:.0f} in the reference{several}"
        )

    def _compared(self, batch: EventBatch) -> HistogramVerdicts:
        """Compare the histograms of this batch alone."""
        size = len(batch)
        verdicts = Verdicts.inconclusive(size, Cause.NAN)
        p = np.full(size, np.nan)
        for start in range(0, size, _CHUNK):
            part = slice(start, start + _CHUNK)
            pair = histogram_pair(batch, part, self._n_min)
            if pair is None:
                continue
            comparison = self.compare(pair)
            cause = np.where((pair.cause == Cause.NONE) & comparison.blind, np.int8(Cause.BLIND), pair.cause)
            code = comparison.breached.astype(np.int8) * np.int8(Code.BREACHED)
            code[cause != Cause.NONE] = Code.INCONCLUSIVE
            known = pair.cause == Cause.NONE
            verdicts.code[part], verdicts.cause[part] = code, cause
            verdicts.statistic[part] = np.where(known, comparison.statistic, np.nan)
            p[part] = np.where(known, comparison.p, np.nan)
        return HistogramVerdicts(verdicts.code, verdicts.cause, verdicts.statistic, np.full(size, self._limit), p=p)


def histogram_pair(batch: EventBatch, part: slice, n_min: int) -> HistogramPair | None:
    """Return the histograms of a part of the batch; None without a +Inf bucket, as no model can have one then."""
    bounds = batch.bounds
    columns = [np.array(batch.column(name)[part].T, order="C") for name in (BUCKETS, REFERENCE)]  # always a copy
    if bounds is None or not len(bounds) or bounds[-1] != np.inf:
        return None
    missing = [np.isnan(column) for column in columns]
    shared = ~(missing[0] | missing[1])
    cause = _causes(missing[0], missing[1])
    sizes = []
    for index, column in enumerate(columns):
        columns[index], size = _scaled(column, shared, cause)
        sizes.append(size)
    small = (np.minimum(*sizes) < max(n_min, 1)) & (cause == Cause.NONE)
    cause[small] = Cause.INSUFFICIENT
    unusable = cause != Cause.NONE
    if unusable.any():
        for values in (*columns, *sizes):
            values[..., unusable] = 0
    both = [_means(batch, part, *names) for names in _MEANS]
    return HistogramPair(bounds, columns[0], columns[1], sizes[0], sizes[1], cause, shared, both[0], both[1])


def _causes(current: Bools, reference: Bools) -> Int8:
    """Return why models cannot be compared (k,), given which of their counts (b, k) are missing."""
    cause = np.zeros(current.shape[1], np.int8)
    if current[-1].any() or reference[-1].any():
        cause[current[-1] | reference[-1]] = Cause.NAN
        cause[~current[-1] & reference.all(axis=0)] = Cause.NO_DATA
    return cause


def _scaled(counts: Floats, shared: Bools, cause: Int8) -> tuple[Floats, Floats]:
    """Return non-decreasing counts (b, k) at the shared bounds, scaled to whole numbers of observations (k,).

    `increase` extrapolates: its proportions are right, but its total is slightly too high, so it is rounded down.
    """
    if not shared.all():
        counts = np.where(shared, counts, 0.0)
    invalid = ~((counts >= 0).all(axis=0) & np.isfinite(counts[-1]))
    if invalid.any():
        cause[invalid & (cause == Cause.NONE)] = Cause.NAN
        counts[:, invalid] = 0
    for below, row in itertools.pairwise(counts):  # much faster than accumulate along the first axis
        np.maximum(below, row, out=row)
    size = np.floor(counts[-1])
    if not np.array_equal(size, counts[-1]):
        counts *= size / np.maximum(counts[-1], 1e-300)
    return counts, size


def _means(batch: EventBatch, part: slice, buckets: str, total: str) -> Floats:
    sizes = batch.column(buckets)[part, -1]
    if total not in batch.columns:
        return np.full(len(sizes), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(batch.columns[total][part] / sizes)


# ------------------------------------------------------------ cells


class Cells(NamedTuple):
    """Merged cells.

    current, reference: (b, k) counts, both 0 where there is no cell.
    number: (k,) number of cells.
    """

    current: Floats
    reference: Floats
    number: NDArray[np.int64]

    @property
    def none(self) -> Bools | None:
        """Mask (b, k) of buckets that are not cells; None when every bucket is one."""
        if (self.number == len(self.current)).all():
            return None
        return np.asarray(self.current + self.reference == 0)


def in_buckets(counts: Floats) -> Floats:
    """Return counts per bucket, given cumulative counts."""
    per_bucket = counts.copy()
    per_bucket[1:] -= counts[:-1]
    return per_bucket


def merged(pair: HistogramPair, expected: float = EXPECTED) -> Cells:
    """Merge adjacent buckets into cells with at least `expected` expected observations in both histograms.

    Remaining buckets at the end join the last cell.
    """
    current, reference = in_buckets(pair.current), in_buckets(pair.reference)
    whole = pair.n + pair.m
    need = expected * whole / np.maximum(np.minimum(pair.n, pair.m), 1)
    need = np.maximum(need, 1e-300)
    one, other = np.zeros_like(whole), np.zeros_like(whole)
    last, number = np.zeros(len(whole), np.intp), np.zeros(len(whole), np.int64)
    for cell in range(len(current)):
        one += current[cell]
        other += reference[cell]
        full = one + other >= need
        np.multiply(one, full, out=current[cell])
        np.multiply(other, full, out=reference[cell])
        one -= current[cell]
        other -= reference[cell]
        np.copyto(last, cell, where=full)
        number += full
    models = np.arange(len(whole))
    current[last, models] += one
    reference[last, models] += other
    return Cells(current, reference, number)


def chi_square_statistic(cells: Cells, n: Floats, m: Floats) -> Floats:
    """Return Pearson's statistic (k,) for the homogeneity of the two rows of cells."""
    share = n / np.maximum(n + m, 1)
    statistic = np.zeros_like(share)
    for one, other in zip(cells.current, cells.reference, strict=True):
        pooled = one + other
        distance = one - pooled * share
        distance *= distance
        distance /= np.maximum(pooled, 1e-300, out=pooled)
        statistic += distance
    return np.asarray(statistic / np.maximum(share * (1 - share), 1e-300))


def edges(pair: HistogramPair) -> tuple[Floats, Floats]:
    """Return finite lower and upper edges (b, k) of every model's buckets; buckets at unshared bounds have no width.

    The first bucket begins at 0, or at twice its bound if that is negative; the last one ends at twice the last bound.
    """
    finite = np.append(pair.bounds[:-1], 2 * np.abs(pair.bounds[-2:-1]) if len(pair.bounds) > 1 else 1.0)
    first = min(0.0, 2 * finite[0])
    upper = np.broadcast_to(finite[:, None], pair.current.shape)
    if not pair.shared.all():
        upper = np.maximum.accumulate(np.where(pair.shared, upper, first), axis=0)
    lower = np.concatenate([np.full((1, upper.shape[1]), first), upper[:-1]])
    return lower, upper


# ------------------------------------------------------------ text


def mean_change(batch: EventBatch, position: int) -> str:
    """Return text such as `mean of latency p95 +38 ms, 158 ms instead of 120 ms`; `about` without exact sums."""
    part = slice(position, position + 1)
    sums = [batch.columns.get(total) for _, total in _MEANS]
    now, before = (
        float(means(batch.column(name)[part], batch.bounds, None if total is None else total[part])[0])
        for (name, _), total in zip(_MEANS, sums, strict=True)
    )
    if now != now or before != before:  # noqa: PLR0124 - NaN
        return f"mean of {signal_word(batch)} unknown"
    about = "about " if any(total is None for total in sums) else ""
    return (
        f"mean of {signal_word(batch)} {about}{in_unit(batch, now - before, '+')},"
        f" {in_unit(batch, now)} instead of {in_unit(batch, before)}"
    )


def in_unit(batch: EventBatch, value: float, sign: str = "") -> str:
    """Return a number in the signal's unit; a latency in milliseconds or seconds."""
    if batch.event is not EventKind.LATENCY:
        return f"{value:{sign}.3g}"
    milliseconds = value * batch.unit_ms
    if abs(milliseconds) >= 10_000:
        return f"{milliseconds / 1000:{sign}.3g} s"
    return f"{milliseconds:{sign}.3g} ms"
