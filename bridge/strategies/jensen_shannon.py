"""`jensen_shannon`: Jensen-Shannon divergence between a histogram and its reference, with a significance test."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bridge.domain.verdict import Floats
from bridge.strategies.divergence import DivergenceStrategy
from bridge.strategies.histograms import HistogramConfig


class JensenShannonConfig(HistogramConfig):
    """Parameters of `jensen_shannon: {min_effect: 0.02}`.

    - `min_effect`: smallest divergence that matters, in bits, from 0 to 1
    """

    min_effect: float = Field(default=0.02, ge=0, lt=1)


class JensenShannonStrategy(DivergenceStrategy):
    """Strategy that is breached while the Jensen-Shannon divergence (in bits, 0 to 1) is large and significant.

    When to use: if you want a bounded measure, which does not become very large when a bucket is empty.
    """

    name = "jensen_shannon"
    word = "Jensen-Shannon divergence"
    unit = " bit"
    per_chi_square = 1 / (8 * float(np.log(2)))
    Config = JensenShannonConfig

    def __init__(self, config: JensenShannonConfig) -> None:
        super().__init__(config, config.min_effect)

    def term(self, one: Floats, other: Floats) -> Floats:
        """Return the contribution of one cell to the divergence, in bits."""
        middle = (one + other) / 2
        return np.asarray((one * np.log2(one) + other * np.log2(other)) / 2 - middle * np.log2(middle))
