"""The greatest distance of two cumulative distributions, as far as buckets tell: Kolmogorov and Smirnov."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.batch import EventBatch
from bridge.domain.verdict import Floats
from bridge.strategies.histograms import Finding, HistogramConfig, HistogramStrategy, Pair
from bridge.strategies.stats import distributions as tails


class KsConfig(HistogramConfig):
    """`ks: {min_effect: 0.1}`. min_effect: the share of observations by which the distributions are apart."""

    min_effect: float = Field(default=0.1, ge=0, lt=1)


class KsStrategy(HistogramStrategy):
    """Breached while the distance of two distributions is significant, whatever is inside the buckets.

    When to use: a proof is wanted that does not depend on where the bounds are. Where they are too coarse to tell it
    says so (`blind`); chi_square says more of the same buckets.
    """

    name = "ks"
    Config = KsConfig

    def __init__(self, config: KsConfig) -> None:
        super().__init__(config, config.min_effect)

    def compare(self, pair: Pair) -> Finding:
        """Breached when the least distance is enough, healthy when not even the greatest one is."""
        least, most = distances(pair)
        root = np.sqrt(pair.n * pair.m / np.maximum(pair.n + pair.m, 1))
        p = tails.kolmogorov(least * root)
        breached = (p <= self._alpha) & (least >= self._limit)
        healthy = (tails.kolmogorov(most * root) > self._alpha) | (most < self._limit)
        return Finding(least, p, breached, ~(breached | healthy))

    def told(self, batch: EventBatch, pair: Pair) -> str:
        """Both bounds of the distance, and p of the lower one."""
        least, most = distances(pair)
        return (
            f"distance of the distributions between {least[0]:.3g} and {most[0]:.3g} (limit {self._limit:g}),"
            f" p {self.compare(pair).p[0]:.2g} (limit {self._alpha:g})"
        )


def distances(pair: Pair) -> tuple[Floats, Floats]:
    """The least and the greatest distance (k,) that the distributions behind the buckets can have.

    Both rise from bound to bound: between two, the one may do so at the beginning, and the other at the end.
    """
    one, other = pair.current / np.maximum(pair.n, 1), pair.reference / np.maximum(pair.m, 1)
    apart = one - other
    least = np.abs(apart).max(axis=0)
    most = np.maximum(one[0], other[0])
    np.maximum(most, (one[1:] - other[:-1]).max(axis=0, initial=0), out=most)
    np.maximum(most, (other[1:] - one[:-1]).max(axis=0, initial=0), out=most)
    return least, most
