"""`wasserstein`: earth mover's distance between two histograms, in the signal's unit, as bounded by the data."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.batch import EventBatch
from bridge.domain.verdict import Floats
from bridge.strategies.histograms import (
    Bools,
    Comparison,
    HistogramConfig,
    HistogramPair,
    HistogramStrategy,
    chi_square_statistic,
    edges,
    in_buckets,
    in_unit,
    merged,
)
from bridge.strategies.stats import distributions


class WassersteinConfig(HistogramConfig):
    """Parameters of `wasserstein: {min_effect: 20ms}`.

    - `min_effect`: smallest distance that matters, in the signal's unit
    """

    min_effect: float = Field(gt=0, examples=["20ms"])


class WassersteinStrategy(HistogramStrategy):
    """Strategy that is breached while the observations have moved by at least a limit in the signal's unit.

    When to use: if you know the limit in the signal's unit, such as 20 ms, and can provide `sum` and `reference_sum`.
    The statistic is then the difference of two exact means. The difference must also be significant.
    """

    name = "wasserstein"
    Config = WassersteinConfig

    def __init__(self, config: WassersteinConfig) -> None:
        super().__init__(config, config.min_effect)

    def compare(self, pair: HistogramPair) -> Comparison:
        """Compare exact means where they are known, and what the buckets prove elsewhere."""
        difference = np.abs(pair.means - pair.reference_means)
        known = np.isfinite(difference)
        least, p, blind = difference, np.full(len(known), np.nan), np.zeros(len(known), np.bool_)
        if known.any():
            error = np.sqrt(_variance(pair, pair.current, pair.means) / np.maximum(pair.n, 1))
            other = np.sqrt(_variance(pair, pair.reference, pair.reference_means) / np.maximum(pair.m, 1))
            p = distributions.normal(np.nan_to_num(difference / np.maximum(np.hypot(error, other), 1e-300)))
        if not known.all():
            least, p, blind = self._of_buckets(pair, known, least, p)
        return Comparison(least, p, (p <= self._alpha) & (least >= self._limit), blind)

    def summarise(self, batch: EventBatch, pair: HistogramPair) -> str:
        """Return the lower bound of the distance, and p."""
        comparison = self.compare(pair)
        return (
            f"moved by at least {in_unit(batch, float(comparison.statistic[0]))}"
            f" (limit {in_unit(batch, self._limit)}), p {comparison.p[0]:.2g} (limit {self._alpha:g})"
        )

    def _of_buckets(self, pair: HistogramPair, known: Bools, least: Floats, p: Floats) -> tuple[Floats, Floats, Bools]:
        """Return least distance, p and blindness, using the buckets where the means are unknown."""
        low, high = distances(pair)
        cells = merged(pair)
        different = distributions.chi_square(
            chi_square_statistic(cells, pair.n, pair.m), np.maximum(cells.number - 1, 1)
        )
        blind = ~known & (low < self._limit) & (high >= self._limit)
        return np.where(known, least, low), np.where(known, p, different), blind


def distances(pair: HistogramPair) -> tuple[Floats, Floats]:
    """Return the least and the greatest distance (k,) of the distributions behind the buckets.

    The greatest distance is infinite with observations above the last bound; none are assumed below the first edge.
    """
    one, other = pair.current / np.maximum(pair.n, 1), pair.reference / np.maximum(pair.m, 1)
    lower, upper = edges(pair)
    width = (upper - lower)[:-1]
    before = np.zeros((1, len(pair.n)))
    # Between two bounds, one distribution is at least as at the first bound, the other at most as at the second.
    up = one[:-1] - np.concatenate([before, other[:-2]])
    down = other[:-1] - np.concatenate([before, one[:-2]])
    least = (width * np.maximum(0, -np.minimum(up, down))).sum(axis=0)
    most = (width * np.maximum(up, down)).sum(axis=0)
    above = np.zeros(len(pair.n), np.bool_)
    for counts in (pair.current, pair.reference):
        above |= (counts[-1] > counts[-2]) if len(counts) > 1 else counts[-1] > 0
    most[above] = np.inf
    return least, most


def _variance(pair: HistogramPair, counts: Floats, means: Floats) -> Floats:
    """Return the greatest variance (k,) of observations with these buckets and means."""
    lower, upper = edges(pair)
    farthest = np.maximum(np.square(lower - means), np.square(upper - means))
    size = np.maximum(counts[-1], 1)
    return np.asarray((in_buckets(counts) * farthest).sum(axis=0) / size)
