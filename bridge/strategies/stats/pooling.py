"""Pooling of what `auto` has learnt over siblings, as a prior of a new model.

A number of a new model is expected at the mean of its siblings, with their variance around it: what siblings differ in
widens the noise and the peaks, and siblings that differ much teach nothing. This is the predictive distribution of a
hierarchical model with a normal prior: Gelman et al., Bayesian Data Analysis, 3rd edition, CRC Press 2013, chapter 5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.stats.seasonal_baseline import ALL_HOURS, MAD

FEWEST = 3  # siblings
ALIKE = 0.2  # standard deviation of the logarithm of the noise of siblings that are alike; more of it is no prior
GROWN = 7  # days of peaks, so that a sibling knows weekdays and weekends


def grown(siblings: StateColumn) -> NDArray[np.bool_]:
    """Return which siblings (k,) have been observed for long enough; none whose signal is an error rate in counts."""
    days = siblings["extremes"]["days"].max(axis=(1, 2))
    counted = siblings["shares"]["lived"] > 0
    return np.asarray((days >= GROWN) & (siblings["habits"]["seen"] == ALL_HOURS) & ~counted)


def pool(former: StateColumn, residual: int) -> StateColumn:
    """Return the state (1,) of a new model from those of siblings (k,) as they would hand it on.

    Zeros for too few siblings, and for those that are not alike.
    residual: index of the statistic that a wrong daily profile shifts.
    """
    new = np.zeros(1, former.dtype)
    if len(former) < FEWEST or (former["scale"] != former["scale"][0]).any():
        return new
    habits, apart = _habits(former["habits"])
    noise, usual = former["habits"]["noise"], MAD * _root_mean_square(former["habits"]["spread"])
    if (noise > 0).all() and np.log(noise).std(ddof=1) <= ALIKE and apart <= usual:
        new["scale"] = former["scale"][0]
        new["habits"], new["extremes"] = habits, _extremes(former["extremes"], residual, apart)
    return new


def _habits(former: StateColumn) -> tuple[StateColumn, float]:
    """Return the baseline (1,) of a new model, and the standard deviation of its daily profile among siblings (k,).

    Its level is unknown: the first sample moves the profile.
    """
    new = former[:1].copy()
    profiles = former["day"] - former["day"].mean(axis=1, keepdims=True)
    apart = float(np.sqrt(_predictive(profiles).mean()))
    new["day"] = profiles.mean(axis=0)
    for name in ("week", "excess"):
        new[name] = former[name].mean(axis=0)
    variance = former["variance"].mean()
    wider = 1 + apart**2 / max(variance, 1e-300)
    new["variance"], new["product"] = variance * wider, former["product"].mean() * wider
    for name in ("spread", "noise"):
        new[name] = np.hypot(_root_mean_square(former[name]), apart / MAD)
    new["count"] = former["count"].min()
    return new, apart


def _extremes(former: StateColumn, residual: int, apart: float) -> StateColumn:
    """Return the peaks (1,) of a new model, given those of siblings (k,).

    apart: standard deviation of the daily profile, which shifts the statistic at the index `residual`.
    """
    new = former[:1].copy()
    for mean, spread in (("mean", "spread"), ("hour_mean", "hour_spread")):
        wide = np.sqrt(_root_mean_square(former[spread]) ** 2 + _predictive(former[mean]))
        wide[residual] = np.hypot(wide[residual], apart)
        new[mean], new[spread] = former[mean].mean(axis=0), wide
    for name in ("days", "hours"):
        new[name] = former[name].min(axis=0)
    return new


def _root_mean_square(numbers: Floats) -> Floats:
    return np.asarray(np.sqrt((numbers.astype(np.float64) ** 2).mean(axis=0)))


def _predictive(numbers: Floats) -> Floats:
    """Return the variance of another sibling's number around the mean of these (k, ...)."""
    return np.asarray(numbers.astype(np.float64).var(axis=0, ddof=1) * (1 + 1 / len(numbers)))
