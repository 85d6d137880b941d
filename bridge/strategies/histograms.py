"""Two histograms of each model, side by side and comparable, for strategies that tell whether they differ."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.batch import BUCKETS, REFERENCE, REFERENCE_SUM, SUM, EventBatch, EventKind
from bridge.domain.histogram import means
from bridge.domain.verdict import Cause, Code, Floats, Int8, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig, signal_word

EXPECTED = 5.0  # observations in a cell, below which the chi-square distribution does not fit its statistic
_CHUNK = 4096  # models at a time: their columns stay in the processor's cache
_MEANS = ((BUCKETS, SUM), (REFERENCE, REFERENCE_SUM))

Bools = NDArray[np.bool_]


class HistogramConfig(StrategyConfig):
    """Parameters of every comparison of histograms.

    alpha: how often a model whose histograms are of one distribution may be found different. n_min: observations that
    both histograms need.
    """

    alpha: float = Field(default=0.0001, gt=0, lt=1)
    n_min: int = Field(default=100, ge=20)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Histograms of k models and their references, at b bounds that are shared.

    bounds: (b,), the last one +Inf. current, reference: (b, k) cumulative counts; at a bound that one of the two does
    not have, both are as at the bound before, and `shared` (b, k) says so. n, m: (k,) their sizes, whole numbers.
    cause: (k,) why they cannot be compared; counts are 0 there. means, reference_means: (k,) in the signal's unit, NaN
    where the signal gives no sums.
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


class Finding(NamedTuple):
    """Of k models. statistic: the size of the difference. p: of the test. breached, blind: what follows."""

    statistic: Floats
    p: Floats
    breached: Bools
    blind: Bools


class HistogramStrategy(RetrainStrategy):
    """What the comparisons have in common: which models can be compared, chunk by chunk, and how it is told."""

    needs = frozenset({BUCKETS, REFERENCE})
    gives_p: ClassVar[bool] = True

    def __init__(self, config: HistogramConfig, limit: float) -> None:
        """limit: the size of a difference from which it matters."""
        self._alpha, self._n_min, self._limit = config.alpha, config.n_min, limit

    @abstractmethod
    def compare(self, pair: Pair) -> Finding:
        """Compare both histograms of every model; those that have a `cause` have no observations."""

    @abstractmethod
    def told(self, batch: EventBatch, pair: Pair) -> str:
        """What was found of a pair of one model of the batch, in numbers."""

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        """Compare the histograms of all models with their references."""
        size = len(batch)
        verdicts = Verdicts.inconclusive(size, Cause.NAN)
        p = np.full(size, np.nan)
        for start in range(0, size, _CHUNK):
            part = slice(start, start + _CHUNK)
            pair = pair_of(batch, part, self._n_min)
            if pair is None:
                continue
            found = self.compare(pair)
            cause = np.where((pair.cause == Cause.NONE) & found.blind, np.int8(Cause.BLIND), pair.cause)
            code = found.breached.astype(np.int8) * np.int8(Code.BREACHED)
            code[cause != Cause.NONE] = Code.INCONCLUSIVE
            known = pair.cause == Cause.NONE
            verdicts.code[part], verdicts.cause[part] = code, cause
            verdicts.statistic[part] = np.where(known, found.statistic, np.nan)
            p[part] = np.where(known, found.p, np.nan)
        return Verdicts(verdicts.code, verdicts.cause, verdicts.statistic, np.full(size, self._limit), p=p)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """By how much the mean changed, what the test found, and of how many observations."""
        pair = pair_of(batch, slice(position, position + 1), 0)
        if pair is None:
            return f"{signal_word(batch)} has no histograms to compare"
        return (
            f"{mean_change(batch, position)}; {self.told(batch, pair)};"
            f" {pair.n[0]:.0f} observations against {pair.m[0]:.0f} of the reference"
        )


def pair_of(batch: EventBatch, part: slice, n_min: int) -> Pair | None:
    """The histograms of a part of the batch; None when no model can have any: there is no +Inf bucket."""
    bounds = batch.bounds
    columns = [np.ascontiguousarray(batch.column(name)[part].T) for name in (BUCKETS, REFERENCE)]
    if bounds is None or not len(bounds) or bounds[-1] != np.inf:
        return None
    missing = [np.isnan(column) for column in columns]
    shared = ~(missing[0] | missing[1])
    cause = _causes(missing[0], missing[1])
    sizes = []
    for place, column in enumerate(columns):
        columns[place], size = _scaled(column, shared, cause)
        sizes.append(size)
    small = (np.minimum(*sizes) < max(n_min, 1)) & (cause == Cause.NONE)
    cause[small] = Cause.INSUFFICIENT
    unusable = cause != Cause.NONE
    if unusable.any():
        for values in (*columns, *sizes):
            values[..., unusable] = 0
    both = [_means(batch, part, *names) for names in _MEANS]
    return Pair(bounds, columns[0], columns[1], sizes[0], sizes[1], cause, shared, both[0], both[1])


def _causes(current: Bools, reference: Bools) -> Int8:
    """Why models cannot be compared, by which of their counts (b, k) are missing."""
    cause = np.zeros(current.shape[1], np.int8)
    if current[-1].any() or reference[-1].any():
        cause[current[-1] | reference[-1]] = Cause.NAN
        cause[~current[-1] & reference.all(axis=0)] = Cause.NO_DATA
    return cause


def _scaled(counts: Floats, shared: Bools, cause: Int8) -> tuple[Floats, Floats]:
    """Counts (b, k) at the shared bounds that ascend, and their sizes (k,) rounded down to whole observations.

    What `increase` gives is extrapolated: its proportions hold, and its size is a little too high.
    """
    if not shared.all():
        counts = np.where(shared, counts, 0.0)
    odd = ~((counts >= 0).all(axis=0) & np.isfinite(counts[-1]))
    if odd.any():
        cause[odd & (cause == Cause.NONE)] = Cause.NAN
        counts[:, odd] = 0
    for below, row in itertools.pairwise(counts):  # many times faster than accumulate along the first axis
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
    """Merged cells. current, reference: (b, k) counts, 0 in both where there is no cell. number: (k,) of cells."""

    current: Floats
    reference: Floats
    number: NDArray[np.int64]

    @property
    def none(self) -> Bools | None:
        """(b, k), where there is no cell; None when every bucket is one."""
        if (self.number == len(self.current)).all():
            return None
        return np.asarray(self.current + self.reference == 0)


def in_buckets(counts: Floats) -> Floats:
    """Counts of each cell, of cumulative ones."""
    found = counts.copy()
    found[1:] -= counts[:-1]
    return found


def merged(pair: Pair, expected: float = EXPECTED) -> Cells:
    """Cells of which both histograms are expected to have at least so many observations, as they come by their bounds.

    What is left over at the end belongs to the last cell.
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
    """Pearson's statistic of homogeneity (k,) of two rows of cells."""
    share = n / np.maximum(n + m, 1)
    found = np.zeros_like(share)
    for one, other in zip(cells.current, cells.reference, strict=True):
        pooled = one + other
        distance = one - pooled * share
        distance *= distance
        distance /= np.maximum(pooled, 1e-300, out=pooled)
        found += distance
    return np.asarray(found / np.maximum(share * (1 - share), 1e-300))


def edges(pair: Pair) -> tuple[Floats, Floats]:
    """Where the buckets of every model begin and end, (b, k), finite: at bounds that are not shared they have no width.

    The first one begins at 0, or at twice a bound that is below it; the last one ends at twice the last bound.
    """
    finite = np.append(pair.bounds[:-1], 2 * np.abs(pair.bounds[-2:-1]) if len(pair.bounds) > 1 else 1.0)
    first = min(0.0, 2 * finite[0])
    upper = np.broadcast_to(finite[:, None], pair.current.shape)
    if not pair.shared.all():
        upper = np.maximum.accumulate(np.where(pair.shared, upper, first), axis=0)
    lower = np.concatenate([np.full((1, upper.shape[1]), first), upper[:-1]])
    return lower, upper


# ------------------------------------------------------------ words


def mean_change(batch: EventBatch, position: int) -> str:
    """`mean of latency p95 +38 ms, 158 ms instead of 120 ms`; `about` where buckets alone say it."""
    part = slice(position, position + 1)
    sums = [batch.columns.get(total) for _, total in _MEANS]
    now, before = (
        float(means(batch.column(name)[part], batch.bounds, None if total is None else total[part])[0])
        for (name, _), total in zip(_MEANS, sums, strict=True)
    )
    if now != now or before != before:  # noqa: PLR0124 - NaN
        return f"mean of {signal_word(batch)} is not known"
    about = "about " if any(total is None for total in sums) else ""
    return (
        f"mean of {signal_word(batch)} {about}{in_unit(batch, now - before, '+')},"
        f" {in_unit(batch, now)} instead of {in_unit(batch, before)}"
    )


def in_unit(batch: EventBatch, value: float, sign: str = "") -> str:
    """A number in the signal's unit; a latency in milliseconds or seconds."""
    if batch.event is not EventKind.LATENCY:
        return f"{value:{sign}.3g}"
    milliseconds = value * batch.unit_ms
    if abs(milliseconds) >= 10_000:
        return f"{milliseconds / 1000:{sign}.3g} s"
    return f"{milliseconds:{sign}.3g} ms"
