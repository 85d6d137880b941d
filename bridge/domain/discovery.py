"""Which of many tests to believe, when a share of false ones among those believed is what may not be exceeded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats


def discoveries(p: Floats, rate: float) -> NDArray[np.bool_]:
    """(m,) which of m p-values are believed, so that on average at most the share `rate` of those is false.

    Benjamini and Hochberg, JRSS B 57 (1995): right for independent tests, and for such as rise together; given
    1 / e of e-values it is e-BH (Wang and Ramdas, JRSS B 84, 2022), right however they depend on each other. NaN is
    never believed.
    """
    known = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(known, kind="stable")
    allowed = rate * np.arange(1, len(p) + 1) / max(len(p), 1)
    below = np.flatnonzero(known[order] <= allowed)
    found = np.zeros(len(p), np.bool_)
    found[order[: below[-1] + 1 if len(below) else 0]] = True
    return found
