"""The population stability index of a histogram against its reference, with what chance makes of it."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.divergence import DivergenceStrategy
from bridge.strategies.histograms import HistogramConfig


class PsiConfig(HistogramConfig):
    """`psi: {min_effect: 0.2}`. min_effect: of the index, in natural logarithms."""

    min_effect: float = Field(default=0.2, ge=0)


class PsiStrategy(DivergenceStrategy):
    """Breached while the population stability index is past its limit, and is no chance.

    When to use: the index is what people of the trade know. Without the test, 0.1 is passed by most pairs of
    healthy histograms of 100 observations.
    """

    name = "psi"
    word = "population stability index"
    unit = ""
    per_chi_square = 1.0
    Config = PsiConfig

    def __init__(self, config: PsiConfig) -> None:
        super().__init__(config, config.min_effect)

    def term(self, one: Floats, other: Floats) -> Floats:
        """(p - q) ln(p / q)."""
        return np.asarray((one - other) * np.log(one / other))
