"""AR(1) noise of a signal around its reference, with a robust scale, learnt online for many models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Floats

Bools = NDArray[np.bool_]
LEAST = 30  # samples before the noise counts as known
FEW = 10  # samples before the scale is good enough to detect outliers
STEADIEST = 0.995  # largest coefficient; beyond it, the level itself moves
HUBER = 2.5  # robust sigmas: clipping limit of Huber's estimator
HUBER_MEAN = 0.9775599834528068  # E[min(Z^2, 2.5^2)] of a standard normal Z
WEIGHED = 0.75  # effective samples per sample, because later ones weigh more
CLIP = 4.0  # robust sigmas: clipping limit of the residual that the next one is compared with
ANEW = 100  # effective samples of what was learnt at another sampling interval
SAME = 0.25  # relative tolerance within which two intervals count as equal
TINY = 1e-12


class Innovations(NamedTuple):
    """Residuals compared with those before them; all (k,).

    passed: ms since the residual before, 0 = none.
    carried: share of the residual before that is expected to remain.
    spread: robust sigma of residuals.
    innovation: residual minus its prediction.
    width: robust sigma of innovations.
    phi: AR(1) coefficient for one sampling interval.
    """

    passed: Floats
    carried: Floats
    spread: Floats
    innovation: Floats
    width: Floats
    phi: Floats

    def wider(self, factor: Floats) -> Innovations:
        """Return a copy with noise that is wider by a factor (k,)."""
        return self._replace(spread=self.spread * factor, width=self.width * factor)


NoiseState = dict[str, Floats]
"""State of all models as contiguous columns (k,), because strided access to states of a kilobyte is slow."""


class Noise:
    """AR(1) noise. whiten: learn the coefficient instead of assuming 0."""

    names = ("last", "step", "gap", "count", "variance", "product", "square", "residual")

    def __init__(self, *, whiten: bool) -> None:
        self._whiten = whiten

    def compare(self, residual: Floats, slot: Timestamp, now: NoiseState, least: Floats) -> Innovations:
        """Compare residuals (k,) with their predictions, without learning. least: (k,) smallest spread."""
        last = now["last"]
        passed = np.where(last > 0, np.maximum(slot - last, 1.0), 0.0)
        phi = self._coefficient(now)
        spread = np.maximum(np.sqrt(now["variance"] / (1 - phi * phi)), least)
        carried = np.where(passed > 0, phi, 0.0)
        irregular = np.flatnonzero((passed != now["step"]) & (passed > 0) & (now["step"] > 0))
        if len(irregular):
            carried[irregular] = phi[irregular] ** (passed[irregular] / now["step"][irregular])
        innovation = residual - carried * now["residual"]
        return Innovations(passed, carried, spread, innovation, spread * np.sqrt(1 - carried * carried), phi)

    def learn(
        self, innovations: Innovations, residual: Floats, now: NoiseState, which: Bools, window: Duration
    ) -> None:
        """Learn from residuals (k,) where `which`. window: memory in ms."""
        follows = which & (innovations.passed > 0)
        # Later samples weigh more at first, because the first ones were measured from a poor level.
        gain = np.minimum(np.maximum(2 / (now["count"] + 2), innovations.passed / window), 1.0)
        gain = np.where(follows, gain, 0.0)
        sure = now["count"] >= FEW
        if self._whiten:
            self._learn_coefficient(innovations, residual, now, gain, sure)
        self._learn_scale(innovations, now, gain, sure)
        now["count"] = now["count"] + follows

    def remember(
        self, innovations: Innovations, residual: Floats, slot: Timestamp, now: NoiseState, seen: Bools
    ) -> None:
        """Store residuals (k,) for the next comparison, where `seen`."""
        now["residual"] = np.where(seen, _clip(residual, innovations, now["count"] >= FEW, CLIP), now["residual"])
        self._follow_step(innovations, now, seen)
        now["last"] = np.where(seen, slot, now["last"])

    def _coefficient(self, now: NoiseState) -> Floats:
        if not self._whiten:
            return np.zeros(len(now["count"]))
        raw = np.clip(now["product"] / np.maximum(now["square"], TINY * TINY), 0.0, STEADIEST)
        # Too small a coefficient leaves correlated noise, so correct the bias of the estimate (Marriott and Pope,
        # Biometrika 41, 1954), and add its standard error in proportion to the coefficient.
        n = WEIGHED * np.maximum(now["count"], LEAST)
        conservative = raw + raw * ((1 + 3 * raw) / n + np.sqrt((1 - raw * raw) / n))
        return np.asarray(np.where(now["count"] >= LEAST, np.minimum(conservative, STEADIEST), 0.0))

    def _learn_scale(self, innovations: Innovations, now: NoiseState, gain: Floats, sure: Bools) -> None:
        """Update the scale by Huber's proposal 2, one step per sample; by plain squares while outliers are unknown."""
        own = innovations.spread * innovations.spread * (1 - innovations.phi * innovations.phi)
        bounded = np.minimum((innovations.innovation / innovations.width) ** 2, HUBER * HUBER) / HUBER_MEAN
        fresh = np.where(sure, own * bounded, innovations.innovation**2)
        before = np.where(sure, own, now["variance"])
        now["variance"] = np.where(gain > 0, before + gain * (fresh - before), now["variance"])

    def _learn_coefficient(
        self, innovations: Innovations, residual: Floats, now: NoiseState, gain: Floats, sure: Bools
    ) -> None:
        here, before = (_clip(item, innovations, sure, HUBER) for item in (residual, now["residual"]))
        regular = (gain > 0) & _close(innovations.passed, now["step"])
        now["product"] = np.where(regular, now["product"] + gain * (here * before - now["product"]), now["product"])
        now["square"] = np.where(regular, now["square"] + gain * (before * before - now["square"]), now["square"])

    def _follow_step(self, innovations: Innovations, now: NoiseState, seen: Bools) -> None:
        """Adopt a sampling interval that came twice in a row, and convert coefficient and scale to it."""
        came = seen & (innovations.passed > 0)
        now["step"] = np.where(came & (now["step"] == 0), innovations.passed, now["step"])
        moved = came & ~_close(innovations.passed, now["step"]) & _close(innovations.passed, now["gap"])
        if moved.any():
            phi = self._coefficient(now)
            other = phi ** (innovations.passed / np.maximum(now["step"], 1))
            spread = now["variance"] / (1 - phi * phi)
            now["variance"] = np.where(moved, spread * (1 - other * other), now["variance"])
            now["product"] = np.where(moved, other * now["square"], now["product"])
            now["count"] = np.where(moved, np.minimum(now["count"], ANEW), now["count"])
            now["step"] = np.where(moved, innovations.passed, now["step"])
        now["gap"] = np.where(seen, innovations.passed, now["gap"])


def _clip(residual: Floats, innovations: Innovations, sure: Bools, sigmas: float) -> Floats:
    """Clip residuals at so many sigmas where the scale is known."""
    bound = np.where(sure, sigmas * innovations.spread, np.inf)
    return np.asarray(np.minimum(np.maximum(residual, -bound), bound))


def _close(passed: Floats, step: Floats) -> Bools:
    return np.asarray(np.abs(passed - step) <= SAME * step)
