"""Divergences between two histograms that follow a scaled chi-square distribution under the null hypothesis."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from bridge.domain.batch import EventBatch
from bridge.domain.verdict import Floats
from bridge.strategies.histograms import Cells, Comparison, HistogramPair, HistogramStrategy, merged
from bridge.strategies.stats import distributions

HALF = 0.5  # observations added to each cell: empty cells have no logarithm, and the fit to chi-square is better


class DivergenceStrategy(HistogramStrategy):
    """Strategy that tests a divergence of cells.

    word, unit: name and unit of the divergence, for display.
    per_chi_square: c, where the divergence of equal distributions is distributed as c (1/n + 1/m) times chi-square with
    one degree of freedom less than there are cells.
    """

    word: ClassVar[str]
    unit: ClassVar[str]
    per_chi_square: ClassVar[float]

    @abstractmethod
    def term(self, one: Floats, other: Floats) -> Floats:
        """Return the contribution (k,) of one cell with shares above 0; 0 where both shares are 1."""

    def compare(self, pair: HistogramPair) -> Comparison:
        """Compare cells that are merged as for chi-square."""
        cells = merged(pair)
        divergence = np.zeros(len(pair.n))
        for one, other in _shares(cells, pair):
            divergence += self.term(one, other)
        scale = self.per_chi_square * (1 / np.maximum(pair.n, 1) + 1 / np.maximum(pair.m, 1))
        p = distributions.chi_square(divergence / scale, np.maximum(cells.number - 1, 1))
        return Comparison(divergence, p, (p <= self._alpha) & (divergence >= self._limit), cells.number < 2)

    def summarise(self, batch: EventBatch, pair: HistogramPair) -> str:
        """Return the divergence and p."""
        comparison = self.compare(pair)
        return (
            f"{self.word} {comparison.statistic[0]:.3g}{self.unit} (limit {self._limit:g}),"
            f" p {comparison.p[0]:.2g} (limit {self._alpha:g})"
        )


def _shares(cells: Cells, pair: HistogramPair) -> Iterator[tuple[Floats, Floats]]:
    """Yield both shares of each cell, with half an observation added; both are 1 where there is no cell."""
    none, added = cells.none, HALF * np.maximum(cells.number, 1)
    for row, counts in enumerate(zip(cells.current, cells.reference, strict=True)):
        one, other = (counts[0] + HALF) / (pair.n + added), (counts[1] + HALF) / (pair.m + added)
        if none is not None:
            one[none[row]] = other[none[row]] = 1.0
        yield one, other
