"""Measures of how far apart two histograms are, whose size by chance alone is that of a chi-square number."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from bridge.domain.batch import EventBatch
from bridge.domain.verdict import Floats
from bridge.strategies.histograms import Cells, Finding, HistogramStrategy, Pair, merged
from bridge.strategies.stats import distributions

HALF = 0.5  # of an observation: an empty cell has no logarithm, and chance without it is more than chi-square's


class DivergenceStrategy(HistogramStrategy):
    """Judges a divergence of cells. word, unit: of it, for people.

    per_chi_square: c, where c (1/n + 1/m) times a chi-square number of cells - 1 degrees of freedom is its
    distribution while both histograms are of one.
    """

    word: ClassVar[str]
    unit: ClassVar[str]
    per_chi_square: ClassVar[float]

    @abstractmethod
    def term(self, one: Floats, other: Floats) -> Floats:
        """(k,), what one cell adds to the divergence, of two rows of shares above 0; 0 where both are 1."""

    def compare(self, pair: Pair) -> Finding:
        """Cells are merged as for chi-square."""
        cells = merged(pair)
        found = np.zeros(len(pair.n))
        for one, other in _shares(cells, pair):
            found += self.term(one, other)
        scale = self.per_chi_square * (1 / np.maximum(pair.n, 1) + 1 / np.maximum(pair.m, 1))
        p = distributions.chi_square(found / scale, np.maximum(cells.number - 1, 1))
        return Finding(found, p, (p <= self._alpha) & (found >= self._limit), cells.number < 2)

    def told(self, batch: EventBatch, pair: Pair) -> str:
        """The divergence, and how probable it is."""
        found = self.compare(pair)
        return (
            f"{self.word} {found.statistic[0]:.3g}{self.unit} (limit {self._limit:g}),"
            f" p {found.p[0]:.2g} (limit {self._alpha:g})"
        )


def _shares(cells: Cells, pair: Pair) -> Iterator[tuple[Floats, Floats]]:
    """Of each cell, with half an observation more in it; where there is no cell both are 1."""
    none, added = cells.none, HALF * np.maximum(cells.number, 1)
    for row, counts in enumerate(zip(cells.current, cells.reference, strict=True)):
        one, other = (counts[0] + HALF) / (pair.n + added), (counts[1] + HALF) / (pair.m + added)
        if none is not None:
            one[none[row]] = other[none[row]] = 1.0
        yield one, other
