"""`psi`: population stability index of a histogram against its reference, with a significance test."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.divergence import DivergenceStrategy
from bridge.strategies.histograms import HistogramConfig


class PsiConfig(HistogramConfig):
    """Parameters of `psi: {min_effect: 0.2}`.

    - `min_effect`: smallest index that matters, with natural logarithms
    """

    min_effect: float = Field(default=0.2, ge=0)


class PsiStrategy(DivergenceStrategy):
    """Strategy that is breached while the population stability index is large and significant.

    When to use: if your organisation already uses the index. It must also be significant: without drift, the index of
    two histograms with 100 observations each is above 0.1 in most cases.
    """

    name = "psi"
    word = "population stability index"
    unit = ""
    per_chi_square = 1.0
    Config = PsiConfig

    def __init__(self, config: PsiConfig) -> None:
        super().__init__(config, config.min_effect)

    def term(self, one: Floats, other: Floats) -> Floats:
        """Return (p - q) ln(p / q)."""
        return np.asarray((one - other) * np.log(one / other))
