"""The noise of a signal around its reference: AR(1) with a robust scale, learnt sample by sample for many models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Floats

Bools = NDArray[np.bool_]
LEAST = 30  # samples before anything is said of the noise
FEW = 10  # samples before the scale is sure enough to tell what an outlier is
STEADIEST = 0.995  # coefficient: beyond, it is a level that moves
HUBER = 2.5  # robust sigmas: what is further counts as this much
HUBER_MEAN = 0.9775599834528068  # E[min(Z^2, 2.5^2)] of a standard normal Z
WEIGHED = 0.75  # what a sample is worth, as later ones count more
CLIP = 4.0  # robust sigmas: a residual that is remembered is no further out
ANEW = 100  # samples that what was learnt at another step counts for
SAME = 0.25  # by how much two distances in time may differ and still be one step
TINY = 1e-12


class Look(NamedTuple):
    """What a residual (k,) is beside the one before it.

    passed: ms since that one, 0 = there was none. carried: the share of it that is expected to be left. spread: robust
    sigma of residuals. innovation: what is new, width: its robust sigma. phi: the coefficient, for one step.
    """

    passed: Floats
    carried: Floats
    spread: Floats
    innovation: Floats
    width: Floats
    phi: Floats

    def wider(self, factor: Floats) -> Look:
        """With noise that is wider by a factor (k,)."""
        return self._replace(spread=self.spread * factor, width=self.width * factor)


Now = dict[str, Floats]
"""What is remembered of each model, as columns (k,) that lie together: states of a kilobyte each are slow to walk."""


class Noise:
    """AR(1) noise. whiten: whether the coefficient is learnt, or taken for 0."""

    names = ("last", "step", "gap", "count", "variance", "product", "square", "residual")

    def __init__(self, *, whiten: bool) -> None:
        self._whiten = whiten

    def look(self, residual: Floats, slot: Timestamp, now: Now, least: Floats) -> Look:
        """Compare residuals (k,) with what was expected of them; nothing is learnt. least: (k,) smallest spread."""
        last = now["last"]
        passed = np.where(last > 0, np.maximum(slot - last, 1.0), 0.0)
        phi = self._coefficient(now)
        spread = np.maximum(np.sqrt(now["variance"] / (1 - phi * phi)), least)
        carried = np.where(passed > 0, phi, 0.0)
        odd = np.flatnonzero((passed != now["step"]) & (passed > 0) & (now["step"] > 0))
        if len(odd):
            carried[odd] = phi[odd] ** (passed[odd] / now["step"][odd])
        innovation = residual - carried * now["residual"]
        return Look(passed, carried, spread, innovation, spread * np.sqrt(1 - carried * carried), phi)

    def learn(self, look: Look, residual: Floats, now: Now, which: Bools, window: Duration) -> None:
        """Take residuals (k,) in, where `which`. window: memory in ms."""
        follows = which & (look.passed > 0)
        # Later samples count more at first: the first ones were measured from a poor level.
        gain = np.minimum(np.maximum(2 / (now["count"] + 2), look.passed / window), 1.0)
        gain = np.where(follows, gain, 0.0)
        sure = now["count"] >= FEW
        if self._whiten:
            self._learn_coefficient(look, residual, now, gain, sure)
        self._learn_scale(look, now, gain, sure)
        now["count"] = now["count"] + follows

    def remember(self, look: Look, residual: Floats, slot: Timestamp, now: Now, seen: Bools) -> None:
        """The residuals (k,) are those that the next ones are compared with, where `seen`."""
        now["residual"] = np.where(seen, _tame(residual, look, now["count"] >= FEW, CLIP), now["residual"])
        self._follow_step(look, now, seen)
        now["last"] = np.where(seen, slot, now["last"])

    def _coefficient(self, now: Now) -> Floats:
        if not self._whiten:
            return np.zeros(len(now["count"]))
        raw = np.clip(now["product"] / np.maximum(now["square"], TINY * TINY), 0.0, STEADIEST)
        # Too small a coefficient leaves noise that adds up: so the estimate's bias is taken out (Marriott and Pope,
        # Biometrika 41, 1954), and its standard error is added, where there is much to be taken out.
        n = WEIGHED * np.maximum(now["count"], LEAST)
        careful = raw + raw * ((1 + 3 * raw) / n + np.sqrt((1 - raw * raw) / n))
        return np.asarray(np.where(now["count"] >= LEAST, np.minimum(careful, STEADIEST), 0.0))

    def _learn_scale(self, look: Look, now: Now, gain: Floats, sure: Bools) -> None:
        """Huber's proposal 2, one step of stochastic approximation a sample; plain squares while it is not sure."""
        own = look.spread * look.spread * (1 - look.phi * look.phi)
        bounded = np.minimum((look.innovation / look.width) ** 2, HUBER * HUBER) / HUBER_MEAN
        fresh = np.where(sure, own * bounded, look.innovation**2)
        before = np.where(sure, own, now["variance"])
        now["variance"] = np.where(gain > 0, before + gain * (fresh - before), now["variance"])

    def _learn_coefficient(self, look: Look, residual: Floats, now: Now, gain: Floats, sure: Bools) -> None:
        here, before = (_tame(item, look, sure, HUBER) for item in (residual, now["residual"]))
        regular = (gain > 0) & _alike(look.passed, now["step"])
        now["product"] = np.where(regular, now["product"] + gain * (here * before - now["product"]), now["product"])
        now["square"] = np.where(regular, now["square"] + gain * (before * before - now["square"]), now["square"])

    def _follow_step(self, look: Look, now: Now, seen: Bools) -> None:
        """Another step twice in a row is the new one: coefficient and scale are those of that step from now on."""
        came = seen & (look.passed > 0)
        now["step"] = np.where(came & (now["step"] == 0), look.passed, now["step"])
        moved = came & ~_alike(look.passed, now["step"]) & _alike(look.passed, now["gap"])
        if moved.any():
            phi = self._coefficient(now)
            other = phi ** (look.passed / np.maximum(now["step"], 1))
            spread = now["variance"] / (1 - phi * phi)
            now["variance"] = np.where(moved, spread * (1 - other * other), now["variance"])
            now["product"] = np.where(moved, other * now["square"], now["product"])
            now["count"] = np.where(moved, np.minimum(now["count"], ANEW), now["count"])
            now["step"] = np.where(moved, look.passed, now["step"])
        now["gap"] = np.where(seen, look.passed, now["gap"])


def _tame(residual: Floats, look: Look, sure: Bools, sigmas: float) -> Floats:
    """No further out than so many sigmas, where it is known what a sigma is."""
    bound = np.where(sure, sigmas * look.spread, np.inf)
    return np.asarray(np.minimum(np.maximum(residual, -bound), bound))


def _alike(passed: Floats, step: Floats) -> Bools:
    return np.asarray(np.abs(passed - step) <= SAME * step)
