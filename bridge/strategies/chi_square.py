"""Whether two histograms are of one distribution: Pearson's test of homogeneity over their buckets."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.batch import EventBatch
from bridge.strategies.histograms import Finding, HistogramConfig, HistogramStrategy, Pair, chi_square_statistic, merged
from bridge.strategies.stats import distributions


class ChiSquareConfig(HistogramConfig):
    """`chi_square: {min_effect: 0.1}`. min_effect: the share of observations that are in other buckets."""

    min_effect: float = Field(default=0.1, ge=0, lt=1)


class ChiSquareStrategy(HistogramStrategy):
    """Breached while a histogram differs from its reference: chi-square, and how many observations moved.

    When to use: a histogram is there, and any change of its shape matters. The best calibrated one on buckets.
    """

    name = "chi_square"
    Config = ChiSquareConfig

    def __init__(self, config: ChiSquareConfig) -> None:
        super().__init__(config, config.min_effect)

    def compare(self, pair: Pair) -> Finding:
        """Cells with fewer than 5 expected observations are merged; one cell alone tells nothing."""
        cells = merged(pair)
        statistic = chi_square_statistic(cells, pair.n, pair.m)
        p = distributions.chi_square(statistic, np.maximum(cells.number - 1, 1))
        # Half of the differences of all shares: what went to another bucket is missing in its own.
        apart = cells.current / np.maximum(pair.n, 1)
        apart -= cells.reference / np.maximum(pair.m, 1)
        moved = np.abs(apart, out=apart).sum(axis=0) / 2
        return Finding(moved, p, (p <= self._alpha) & (moved >= self._limit), cells.number < 2)

    def told(self, batch: EventBatch, pair: Pair) -> str:
        """Statistic, degrees of freedom, p, and the share that moved."""
        cells = merged(pair)
        statistic, found = chi_square_statistic(cells, pair.n, pair.m), self.compare(pair)
        return (
            f"chi-square {statistic[0]:.4g} (df {cells.number[0] - 1}), p {found.p[0]:.2g} (limit {self._alpha:g});"
            f" {100 * found.statistic[0]:.3g} % of the observations in other buckets (limit {100 * self._limit:g} %)"
        )
