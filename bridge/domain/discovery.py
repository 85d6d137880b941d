"""False discovery rate control: choice of the p-values to accept as significant among many tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats


def discoveries(p: Floats, rate: float) -> NDArray[np.bool_]:
    """Return which of m p-values are significant, bool (m,), at a false discovery rate of at most `rate`.

    Benjamini and Hochberg, JRSS B 57 (1995): valid for independent and for positively dependent tests. Given 1 / e of
    e-values, it is e-BH (Wang and Ramdas, JRSS B 84, 2022), which is valid under any dependence. NaN is never
    significant.
    """
    known = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(known, kind="stable")
    allowed = rate * np.arange(1, len(p) + 1) / max(len(p), 1)
    below = np.flatnonzero(known[order] <= allowed)
    significant = np.zeros(len(p), np.bool_)
    significant[order[: below[-1] + 1 if len(below) else 0]] = True
    return significant
