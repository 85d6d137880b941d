"""Linear trends of series with autocorrelated noise, with confidence bounds, for many series."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

LEAST = 8  # points needed for a line
HIGHEST = 0.98  # upper bound of the correlation of autocorrelation
FREE = 4  # least degrees of freedom, which gave the best measured coverage under strong autocorrelation
STEPS = 4096


class Lines(NamedTuple):
    """Lines level + slope * x; all (k,).

    var_level, cov, var_slope: covariances of level and slope, widened for autocorrelated noise.
    quantile: half the width of an interval in standard errors; 0 = no line.
    """

    level: Floats
    slope: Floats
    var_level: Floats
    cov: Floats
    var_slope: Floats
    quantile: Floats

    def margin(self, x: float) -> Floats:
        """Return half the width of the confidence interval of the line at x."""
        var = self.var_level + 2 * x * self.cov + x * x * self.var_slope
        return np.asarray(self.quantile * np.sqrt(np.maximum(var, 0.0)))

    def crossing(self, limit: float) -> tuple[Floats, Floats]:
        """Return bounds of the x where the line crosses `limit`; NaN where they are not finite.

        Fieller's method: all x at which the limit lies within the confidence interval of the line.
        """
        square, gap = self.quantile**2, limit - self.level
        a = self.slope**2 - square * self.var_slope
        b = self.slope * gap + square * self.cov
        c = gap**2 - square * self.var_level
        sure = a > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            root = np.sqrt(np.maximum(b * b - a * c, 0.0))
            first, last = (b - root) / a, (b + root) / a
        return np.where(sure, first, np.nan), np.where(sure, last, np.nan)


def fit(x: Floats, y: Floats, has: NDArray[np.bool_], quantiles: Floats) -> Lines:
    """Fit least-squares lines to y (k, n) at ascending x (n,), where `has` (k, n). quantiles: by degrees of freedom.

    Covariances are multiplied by (1 + r) / (1 - r), where r is the lag-1 autocorrelation of the residuals, and the
    number of points is divided by the same factor for the degrees of freedom.
    """
    n = has.sum(axis=1).astype(np.float64)
    many = np.maximum(n, LEAST)
    y = np.where(has, y, 0.0)
    mean_x = (has * x).sum(axis=1) / many
    centred = np.where(has, x - mean_x[:, None], 0.0)
    spread = np.maximum((centred * centred).sum(axis=1), 1e-12)
    mean_y = y.sum(axis=1) / many
    slope = (centred * y).sum(axis=1) / spread
    residuals = np.where(has, y - mean_y[:, None] - slope[:, None] * centred, 0.0)
    square = (residuals * residuals).sum(axis=1)
    r = autocorrelation(residuals, has, square, many)
    widened = square / (many - 2) * (1 + r) / (1 - r)
    var_slope = widened / spread
    free = np.clip(many * (1 - r) / (1 + r) - 2, FREE, len(quantiles) - 1).astype(np.int64)
    quantile = np.where(n >= LEAST, quantiles[free], 0.0)
    level, var_level = mean_y - slope * mean_x, widened / many + mean_x**2 * var_slope
    return Lines(level, slope, var_level, -mean_x * var_slope, var_slope, quantile)


def autocorrelation(residuals: Floats, has: NDArray[np.bool_], square: Floats, n: Floats) -> Floats:
    """Return the lag-1 autocorrelation (k,) of residuals (k, n), skipping gaps; between 0 and HIGHEST.

    Fitting a line removes about (2 + 4 r) / n of the correlation, which is added back.
    """
    index = np.maximum.accumulate(np.where(has, np.arange(residuals.shape[1]), 0), axis=1)
    before = np.take_along_axis(residuals, index[:, :-1], axis=1)  # 0 before the first
    product = (residuals[:, 1:] * before).sum(axis=1)
    raw = product / np.maximum(square, 1e-300)
    return np.asarray(np.clip((raw + 2 / n) / (1 - 4 / n), 0.0, HIGHEST))


def student(probability: float, most: int) -> Floats:
    """Return quantiles of Student's t for 0, 1, ... most degrees of freedom, the first infinite; probability > 0.5."""
    quantiles = [np.inf]
    angle = np.linspace(0, np.pi / 2, STEPS + 1)  # t = sqrt(v) tan(angle) has the density cos(angle)^(v - 1)
    middle = (angle[1:] + angle[:-1]) / 2
    for free in range(1, most + 1):
        ends, inner = np.cos(angle) ** (free - 1), np.cos(middle) ** (free - 1)
        share = np.concatenate([[0.0], np.cumsum(ends[1:] + ends[:-1] + 4 * inner)])
        at = np.interp((2 * probability - 1) * share[-1], share, angle)
        quantiles.append(float(np.sqrt(free) * np.tan(at)))
    return np.array(quantiles)
