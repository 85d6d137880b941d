"""Error rates before and after a single change point, averaged over its possible times, for many histories."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

CELLS = 64
PRIOR = 0.3  # prior probability of a change
STEP = 0.2  # prior standard deviation of a change, in angles: 0.2 is from 10 % to 17 % or 5 %
MEDIAN = 0.4549  # median of chi-square with one degree of freedom
LEAST = 8  # differences needed to estimate the noise; with fewer, counts are assumed to be binomial


class RateEstimate(NamedTuple):
    """Result for histories; all (k,).

    now, before: expected error rates of the newest and of the oldest cell.
    newest: probability that only the last cell differs.
    fallen: probability that the rate has fallen.
    cells: number of cells before the most likely time of a change.
    """

    now: Floats
    before: Floats
    newest: Floats
    fallen: Floats
    cells: NDArray[np.int64]


def rates_before_and_after(errors: Floats, total: Floats, used: NDArray[np.int64]) -> RateEstimate:
    """Return the error rates before and after a change, averaged over all its times and over no change.

    errors, total: (k, n) counts per cell. used: (k,) number of cells in use.
    After the transform 2 asin sqrt(p) (Anscombe, Biometrika 35, 1948), counts have a variance of nearly 1 / n; excess
    variance is estimated from differences of neighbours. The prior of a change is normal, and uniform over its times.
    """
    width = int(used.max(initial=1))
    has = np.arange(width) < used[:, None]
    n = np.where(has, total[:, :width], 0.0)
    angle = np.where(has, 2 * np.arcsin(np.sqrt((np.where(has, errors[:, :width], 0.0) + 0.375) / (n + 0.75))), 0.0)
    n = np.where(has, n + 0.5, 0.0) / _dispersion(angle, n + 0.5, has)[:, None]
    left, sum_left = np.cumsum(n, axis=1), np.cumsum(n * angle, axis=1)
    whole, sum_whole = left[:, -1:], sum_left[:, -1:]
    mean = (sum_whole / whole)[:, 0]
    splits = has[:, 1:]
    right = np.where(splits, whole - left[:, :-1], 1.0)
    first = np.where(splits, sum_left[:, :-1] / np.where(splits, left[:, :-1], 1.0), 0.0)
    second = np.where(splits, (sum_whole - sum_left[:, :-1]) / right, 0.0)
    noise = 1 / np.where(splits, left[:, :-1], 1.0) + 1 / right
    shrunk = (second - first) * STEP**2 / (STEP**2 + noise)
    log = 0.5 * np.log(noise / (noise + STEP**2)) + 0.5 * (second - first) * shrunk / noise
    log = np.where(splits, log + np.log(PRIOR / np.maximum(used - 1, 1))[:, None], -np.inf)
    top = np.maximum(log.max(axis=1, initial=-np.inf), np.log(1 - PRIOR))
    odds, none = np.exp(log - top[:, None]), np.exp(np.log(1 - PRIOR) - top)
    sure = odds.sum(axis=1) + none
    now = none * _rate(mean) + (odds * _rate(first + shrunk)).sum(axis=1)
    before = none * _rate(mean) + (odds * _rate(first)).sum(axis=1)
    if width == 1:
        return RateEstimate(now / sure, before / sure, 0.0 * none, 0.0 * none, np.ones(len(used), np.int64))
    newest = np.take_along_axis(odds, np.maximum(used - 2, 0)[:, None], axis=1)[:, 0]
    fallen = (odds * (shrunk < 0)).sum(axis=1) / sure
    return RateEstimate(
        now / sure, before / sure, np.where(used > 1, newest / sure, 0.0), fallen, odds.argmax(axis=1) + 1
    )


def _rate(angle: Floats) -> Floats:
    return np.asarray(np.sin(np.clip(angle, 0, np.pi) / 2) ** 2)


def _dispersion(angle: Floats, n: Floats, has: NDArray[np.bool_]) -> Floats:
    """Return the overdispersion (k,) of cells relative to binomial counts; at least 1."""
    pairs = has[:, 1:]
    squared = (angle[:, 1:] - angle[:, :-1]) ** 2 / (1 / n[:, 1:] + 1 / n[:, :-1])
    ranked = np.sort(np.where(pairs, squared, np.inf), axis=1)
    many = pairs.sum(axis=1)
    if not ranked.shape[1]:
        return np.ones(len(angle))
    middle = np.take_along_axis(ranked, np.maximum(many // 2, 0)[:, None].clip(max=ranked.shape[1] - 1), axis=1)[:, 0]
    return np.where(many >= LEAST, np.maximum(middle / MEDIAN, 1.0), 1.0)
