"""Lines through series whose noise hangs together, with honest bounds; many series at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

LEAST = 8  # points, below which nothing is said
HIGHEST = 0.98  # correlation of neighbours that is believed
FREE = 4  # least degrees of freedom: measured to cover best where noise hangs together much
STEPS = 4096


class Lines(NamedTuple):
    """Lines level + slope * x, (k,) each, with the covariances of level and slope, widened for correlated noise.

    quantile: half the width of an interval in standard errors; 0 = no line.
    """

    level: Floats
    slope: Floats
    var_level: Floats
    cov: Floats
    var_slope: Floats
    quantile: Floats

    def margin(self, x: float) -> Floats:
        """Half the width of the interval of the line's height at x."""
        var = self.var_level + 2 * x * self.cov + x * x * self.var_slope
        return np.asarray(self.quantile * np.sqrt(np.maximum(var, 0.0)))

    def crossing(self, limit: float) -> tuple[Floats, Floats]:
        """Bounds of the x where the line has the height `limit`; NaN where they are not finite.

        Fieller: all x at which the limit lies within the interval of the line's height.
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
    """Least squares over y (k, n) at the ascending x (n,), where `has` (k, n); quantiles: by degrees of freedom.

    The covariances are widened by (1 + r) / (1 - r), r being the correlation of neighbours' residuals, and the degrees
    of freedom are those of the points that are fewer by as much.
    """
    n = has.sum(axis=1).astype(np.float64)
    many = np.maximum(n, LEAST)
    y = np.where(has, y, 0.0)
    mean_x = (has * x).sum(axis=1) / many
    away = np.where(has, x - mean_x[:, None], 0.0)
    spread = np.maximum((away * away).sum(axis=1), 1e-12)
    mean_y = y.sum(axis=1) / many
    slope = (away * y).sum(axis=1) / spread
    rest = np.where(has, y - mean_y[:, None] - slope[:, None] * away, 0.0)
    square = (rest * rest).sum(axis=1)
    r = neighbours(rest, has, square, many)
    widened = square / (many - 2) * (1 + r) / (1 - r)
    var_slope = widened / spread
    free = np.clip(many * (1 - r) / (1 + r) - 2, FREE, len(quantiles) - 1).astype(np.int64)
    quantile = np.where(n >= LEAST, quantiles[free], 0.0)
    level, var_level = mean_y - slope * mean_x, widened / many + mean_x**2 * var_slope
    return Lines(level, slope, var_level, -mean_x * var_slope, var_slope, quantile)


def neighbours(rest: Floats, has: NDArray[np.bool_], square: Floats, n: Floats) -> Floats:
    """Correlation (k,) of each residual (k, n) with the one before it, gaps left out; between 0 and HIGHEST.

    A line takes some of the correlation with it: about (2 + 4 r) / n, which is put back.
    """
    place = np.maximum.accumulate(np.where(has, np.arange(rest.shape[1]), 0), axis=1)
    before = np.take_along_axis(rest, place[:, :-1], axis=1)  # 0 before the first
    product = (rest[:, 1:] * before).sum(axis=1)
    raw = product / np.maximum(square, 1e-300)
    return np.asarray(np.clip((raw + 2 / n) / (1 - 4 / n), 0.0, HIGHEST))


def student(probability: float, most: int) -> Floats:
    """Quantiles of Student's t for 0, 1, ... most degrees of freedom (the first is infinite); probability > 0.5."""
    found = [np.inf]
    angle = np.linspace(0, np.pi / 2, STEPS + 1)  # t = sqrt(v) tan(angle) has the density cos(angle)^(v - 1)
    middle = (angle[1:] + angle[:-1]) / 2
    for free in range(1, most + 1):
        ends, inner = np.cos(angle) ** (free - 1), np.cos(middle) ** (free - 1)
        share = np.concatenate([[0.0], np.cumsum(ends[1:] + ends[:-1] + 4 * inner)])
        at = np.interp((2 * probability - 1) * share[-1], share, angle)
        found.append(float(np.sqrt(free) * np.tan(at)))
    return np.array(found)
