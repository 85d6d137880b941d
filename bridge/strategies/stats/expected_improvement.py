"""Expected improvement of a draw from a distribution around a level, if only improvements are kept."""

from __future__ import annotations

import numpy as np

from bridge.domain.verdict import Floats


def expected_improvement(now: Floats, level: Floats, spread: float) -> Floats:
    """Return the mean of max(now - x, 0) for x with a logistic distribution around `level`.

    spread: scale of the distribution, relative to `level`.
    """
    scale = np.maximum(spread * level, 1e-12)
    return np.asarray(scale * np.logaddexp(0.0, (now - level) / scale))
