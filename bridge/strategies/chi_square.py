"""`chi_square`: Pearson's test of homogeneity over the buckets of two histograms."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.batch import EventBatch
from bridge.strategies.histograms import (
    Comparison,
    HistogramConfig,
    HistogramPair,
    HistogramStrategy,
    chi_square_statistic,
    merged,
)
from bridge.strategies.stats import distributions


class ChiSquareConfig(HistogramConfig):
    """Parameters of `chi_square: {min_effect: 0.1}`.

    - `min_effect`: smallest difference that matters: share of observations that would move to another bucket
    """

    min_effect: float = Field(default=0.1, ge=0, lt=1)


class ChiSquareStrategy(HistogramStrategy):
    """Strategy that is breached while a histogram differs significantly, and by enough, from its reference.

    When to use: if any change of the shape of a histogram matters.
    """

    name = "chi_square"
    Config = ChiSquareConfig

    def __init__(self, config: ChiSquareConfig) -> None:
        super().__init__(config, config.min_effect)

    def compare(self, pair: HistogramPair) -> Comparison:
        """Compare merged cells that expect at least 5 observations each; a single cell is blind."""
        cells = merged(pair)
        statistic = chi_square_statistic(cells, pair.n, pair.m)
        p = distributions.chi_square(statistic, np.maximum(cells.number - 1, 1))
        # Half of the absolute differences: an observation that moved is missing in one bucket and extra in another.
        difference = cells.current / np.maximum(pair.n, 1)
        difference -= cells.reference / np.maximum(pair.m, 1)
        moved = np.abs(difference, out=difference).sum(axis=0) / 2
        return Comparison(moved, p, (p <= self._alpha) & (moved >= self._limit), cells.number < 2)

    def summarise(self, batch: EventBatch, pair: HistogramPair) -> str:
        """Return the statistic, its degrees of freedom, p, and the share of observations that moved."""
        cells = merged(pair)
        statistic, result = chi_square_statistic(cells, pair.n, pair.m), self.compare(pair)
        return (
            f"chi-square {statistic[0]:.4g} (df {cells.number[0] - 1}), p {result.p[0]:.2g} (limit {self._alpha:g});"
            f" {100 * result.statistic[0]:.3g} % of observations in different buckets (limit {100 * self._limit:g} %)"
        )
