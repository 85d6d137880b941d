"""Lifetimes of retrainings: log-normal, censored where one lasts, with the means of groups pooled by shrinkage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bridge.domain.verdict import Floats

LEAST = 3  # ended lifetimes without which nothing is forecast
STEPS = 100
NODES = tuple((2 * i + 1) / 18 for i in range(9))  # quantiles at which the unknown spread is taken
LEAST_SPREAD = 0.05  # of the logarithm of a lifetime
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Fitted distribution of the lifetimes of each group, as the logarithm of a lifetime.

    means: (g,) mean of each group, shrunk towards the mean of all. errors: (g,) standard errors of the means.
    spread: standard deviation within a group. free: degrees of freedom behind it.
    mean, between: mean and standard deviation of the means of groups; for a group without a lifetime.
    """

    means: Floats
    errors: Floats
    spread: float
    free: float
    mean: float
    between: float

    def interval(self, group: int, age: float, confidence: float = 0.9) -> tuple[float, float]:
        """Return bounds of a lifetime that has lasted `age` so far, in its unit.

        group: -1 = a group without any lifetime.
        """
        center, error = (self.means[group], self.errors[group]) if group >= 0 else (self.mean, self.between)
        scales = [math.hypot(self.spread * factor, float(error)) for factor in self._factors()]

        def below(log: float) -> float:
            return sum(_NORMAL.cdf((log - float(center)) / scale) for scale in scales) / len(scales)

        lived = below(math.log(age)) if age > 0 else 0.0
        low, high = float(center) - 12 * max(scales), float(center) + 12 * max(scales)
        tail = (1 - confidence) / 2
        first, last = (math.exp(_root(below, lived + share * (1 - lived), low, high)) for share in (tail, 1 - tail))
        return max(first, age), max(last, age)

    def _factors(self) -> list[float]:
        """Return factors of the spread for its uncertainty: roots of df / chi-square (Wilson and Hilferty, 1931)."""
        part = 2 / (9 * self.free)
        return [max(1 - part + _NORMAL.inv_cdf(node) * math.sqrt(part), 0.1) ** -1.5 for node in NODES]


def fit(groups: Sequence[int], lifetimes: Sequence[float], ended: Sequence[bool]) -> Lifetimes | None:
    """Fit by expectation maximisation; None for fewer than LEAST ended lifetimes.

    groups: number of each lifetime's group, from 0. lifetimes: > 0. ended: False = it lasts at least so long.
    """
    if sum(ended) < LEAST:
        return None
    of, log, done = np.array(groups), np.log(np.array(lifetimes, np.float64)), np.array(ended)
    count = int(of.max()) + 1
    mean, within, between = float(log[done].mean()), max(float(log[done].var()), 0.25), 0.25
    center = np.full(count, mean)
    error = np.full(count, 0.0)
    for _ in range(STEPS):
        value, extra = _expected(log, done, center[of], math.sqrt(within))
        n = np.bincount(of, minlength=count).astype(np.float64)
        own = np.bincount(of, value, count) / np.maximum(n, 1)
        weight = n / within + 1 / between
        center = (n * own / within + mean / between) / weight
        error = 1 / weight
        mean = float(center.mean())
        between = max(float(((center - mean) ** 2 + error).sum() / max(count - 1, 1)), LEAST_SPREAD**2)
        within = max(float(((value - center[of]) ** 2 + extra + error[of]).mean()), LEAST_SPREAD**2)
    free = max(float(done.sum()) - len(np.unique(of[done])), 2.0)
    unsure = (between + within / max(float(done.sum()), 1.0)) / count  # of the common mean
    return Lifetimes(center, np.sqrt(error + unsure), math.sqrt(within), free, mean, math.sqrt(between + unsure))


def _expected(log: Floats, done: NDArray[np.bool_], center: Floats, spread: float) -> tuple[Floats, Floats]:
    """Return mean and variance of the logarithms (n,), given that those not done exceed what is known."""
    z = (log - center) / spread
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    beyond = np.array([max(_NORMAL.cdf(-float(value)), 1e-300) for value in z])
    hazard = np.where(z > 30, z, density / beyond)
    value = np.where(done, log, center + spread * hazard)
    extra = np.where(done, 0.0, spread**2 * np.clip(1 + z * hazard - hazard**2, 0.0, 1.0))
    return value, extra


def _root(below: Callable[[float], float], share: float, low: float, high: float) -> float:
    """Return where a distribution function reaches `share`, by bisection."""
    for _ in range(80):
        middle = (low + high) / 2
        if below(middle) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
