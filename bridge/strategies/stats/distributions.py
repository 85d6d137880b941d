"""Tail probabilities of standard distributions, vectorised."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

_KOLMOGOROV_TERMS = 4  # terms of either series, for 16 digits on its side of 1
_TINY = 1e-300

# Rational approximations of erf and erfc: Cody, Mathematics of Computation 23 (1969).
_NEAR: Final = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE: Final = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_FAR: Final = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


def erfc(x: Floats) -> Floats:
    """Return 1 - erf(x) for x >= 0, to 15 digits."""
    result = np.empty_like(x)
    near, far = x <= 0.5, x > 4
    middle = ~(near | far)
    result[near] = 1 - x[near] * _ratio(_NEAR, x[near] ** 2)
    result[middle] = np.exp(-(x[middle] ** 2)) * _ratio(_MIDDLE, x[middle])
    z, square = x[far], 1 / np.maximum(x[far] ** 2, _TINY)
    result[far] = np.exp(-(z**2)) / z * (1 / np.sqrt(np.pi) - square * _ratio(_FAR, square))
    return result


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Floats) -> Floats:
    above, below = (_polynomial(side, x) for side in coefficients)
    above /= below
    return above


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result


def normal(z: Floats) -> Floats:
    """Return the two-sided tail probability of the standard normal distribution at z >= 0."""
    return erfc(z / np.sqrt(2.0))


def chi_square(x: Floats, df: NDArray[np.int64]) -> Floats:
    """Return the upper tail probability of chi-square with df >= 1 degrees of freedom at x >= 0.

    Uses the finite sums for integer df: Abramowitz & Stegun 26.4.4 and 26.4.5.
    """
    half = x / 2
    odd = df % 2 == 1
    term = np.exp(-half)
    term[odd] *= np.sqrt(x[odd] * 2 / np.pi)
    result = np.zeros_like(x)
    result[odd] = erfc(np.sqrt(half[odd]))
    divisor = np.where(odd, 1.5, 1.0)
    steps = df // 2
    for step in range(int(steps.max(initial=0))):
        result += term * (step < steps)
        term *= half / divisor
        divisor += 1
    return result


def kolmogorov(x: Floats) -> Floats:
    """Return the upper tail probability of Kolmogorov's distribution at x >= 0."""
    result = np.ones_like(x)
    low, high = (x > 0.04) & (x < 1), x >= 1
    odd = np.arange(1, 2 * _KOLMOGOROV_TERMS, 2)[:, None]
    small = x[low]
    result[low] = 1 - np.sqrt(2 * np.pi) / small * np.exp(-((odd * np.pi / small) ** 2) / 8).sum(axis=0)
    number = np.arange(1, _KOLMOGOROV_TERMS + 1)[:, None]
    result[high] = 2 * ((-1.0) ** (number - 1) * np.exp(-2 * (number * x[high]) ** 2)).sum(axis=0)
    return result
