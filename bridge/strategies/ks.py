"""`ks`: Kolmogorov-Smirnov distance between two distributions, bounded by their buckets."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.batch import EventBatch
from bridge.domain.verdict import Floats
from bridge.strategies.histograms import Comparison, HistogramConfig, HistogramPair, HistogramStrategy
from bridge.strategies.stats import distributions


class KsConfig(HistogramConfig):
    """Parameters of `ks: {min_effect: 0.1}`.

    - `min_effect`: smallest distance that matters, as a share of observations
    """

    min_effect: float = Field(default=0.1, ge=0, lt=1)


class KsStrategy(HistogramStrategy):
    """Strategy that is breached while the Kolmogorov-Smirnov distance is large and significant.

    When to use: if you want a result that does not depend on where the observations lie within their buckets. If the
    buckets are too coarse for that, the verdict is inconclusive (`blind`). On the same buckets, chi_square is more
    sensitive.
    """

    name = "ks"
    Config = KsConfig

    def __init__(self, config: KsConfig) -> None:
        super().__init__(config, config.min_effect)

    def compare(self, pair: HistogramPair) -> Comparison:
        """Return breached when the least distance suffices, and healthy when even the greatest one does not."""
        least, most = distances(pair)
        root = np.sqrt(pair.n * pair.m / np.maximum(pair.n + pair.m, 1))
        p = distributions.kolmogorov(least * root)
        breached = (p <= self._alpha) & (least >= self._limit)
        healthy = (distributions.kolmogorov(most * root) > self._alpha) | (most < self._limit)
        return Comparison(least, p, breached, ~(breached | healthy))

    def summarise(self, batch: EventBatch, pair: HistogramPair) -> str:
        """Return both bounds of the distance, and p of the lower bound."""
        least, most = distances(pair)
        return (
            f"distance between the distributions {least[0]:.3g} to {most[0]:.3g} (limit {self._limit:g}),"
            f" p {self.compare(pair).p[0]:.2g} (limit {self._alpha:g})"
        )


def distances(pair: HistogramPair) -> tuple[Floats, Floats]:
    """Return the least and the greatest distance (k,) that the distributions behind the buckets can have.

    Between two bounds, one distribution may rise at the beginning and the other at the end.
    """
    one, other = pair.current / np.maximum(pair.n, 1), pair.reference / np.maximum(pair.m, 1)
    least = np.abs(one - other).max(axis=0)
    most = np.maximum(one[0], other[0])
    np.maximum(most, (one[1:] - other[:-1]).max(axis=0, initial=0), out=most)
    np.maximum(most, (other[1:] - one[:-1]).max(axis=0, initial=0), out=most)
    return least, most
