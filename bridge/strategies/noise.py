"""The noise of a signal around its reference: AR(1) with a robust scale, learnt sample by sample for many models."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn

Bools = NDArray[np.bool_]
LEAST = 30  # samples before anything is said of the noise
FEW = 10  # samples before the scale is sure enough to tell what an outlier is
STEADIEST = 0.95  # coefficient: beyond, it is a level that moves
HUBER = 2.5  # robust sigmas: what is further counts as this much
HUBER_MEAN = 0.9775599834528068  # E[min(Z^2, 2.5^2)] of a standard normal Z
CLIP = 4.0  # robust sigmas: a residual that is remembered is no further out
SAME = 0.25  # by how much two distances in time may differ and still be one step
TINY = 1e-12


class Look(NamedTuple):
    """What a residual (k,) is beside the one before it.

    passed: ms since that one, 0 = there was none. carried: the share of it that is expected to be left. spread: robust
    sigma of residuals. innovation: what is new, width: its robust sigma.
    """

    passed: NDArray[np.int64]
    carried: Floats
    spread: Floats
    innovation: Floats
    width: Floats


class Noise:
    """AR(1) noise. whiten: whether the coefficient is learnt, or taken for 0."""

    fields: tuple[Any, ...] = (
        ("last", np.int64), ("step", np.float64), ("gap", np.float64), ("count", np.float64),
        ("variance", np.float64), ("product", np.float64), ("square", np.float64), ("residual", np.float64),
    )  # fmt: skip

    def __init__(self, *, whiten: bool) -> None:
        self._whiten = whiten

    def look(self, residual: Floats, slot: Timestamp, state: StateColumn, least: Floats) -> Look:
        """Compare residuals (k,) with what was expected of them; nothing is learnt. least: (k,) smallest spread."""
        last = state["last"]
        passed = np.where(last > 0, np.maximum(slot - last, 1), 0)
        phi = self._coefficient(state)
        spread = np.maximum(np.sqrt(state["variance"] / (1 - phi * phi)), least)
        step = np.where(state["step"] > 0, state["step"], np.maximum(passed, 1))
        carried = np.where(passed > 0, phi ** (passed / step), 0.0)
        innovation = residual - carried * state["residual"]
        return Look(passed, carried, spread, innovation, spread * np.sqrt(1 - carried * carried))

    def learn(self, look: Look, residual: Floats, state: StateColumn, which: Bools, window: Duration) -> None:
        """Take residuals (k,) in, where `which`. window: memory in ms, 0 = all samples count alike."""
        follows = which & (look.passed > 0)
        gain = 2 / (state["count"] + 2)  # later samples count more: the first ones were measured from a poor level
        if window:
            gain = np.maximum(gain, look.passed / window)
        gain = np.where(follows, np.minimum(gain, 1.0), 0.0)
        self._learn_scale(look, state, gain)
        if self._whiten:
            self._learn_coefficient(look, residual, state, gain)
        state["count"] += follows

    def remember(self, look: Look, residual: Floats, slot: Timestamp, state: StateColumn, seen: Bools) -> None:
        """The residuals (k,) are those that the next ones are compared with, where `seen`."""
        known = state["count"] >= FEW
        bound = np.where(known, CLIP * look.spread, np.inf)
        state["residual"] = np.where(seen, np.clip(residual, -bound, bound), state["residual"])
        self._follow_step(look, state, seen)
        state["last"] = np.where(seen, slot, state["last"])

    def _coefficient(self, state: StateColumn) -> Floats:
        if not self._whiten:
            return np.zeros(len(state))
        sure = state["count"] >= LEAST
        raw = state["product"] / np.maximum(state["square"], TINY * TINY)
        return np.asarray(np.where(sure, np.clip(raw, 0.0, STEADIEST), 0.0))

    def _learn_scale(self, look: Look, state: StateColumn, gain: Floats) -> None:
        """Huber's proposal 2, one step of stochastic approximation a sample; plain squares while it is not sure."""
        plain = np.where(gain > 0, look.innovation, 0.0) ** 2
        share = np.minimum((look.innovation / look.width) ** 2, HUBER * HUBER) / HUBER_MEAN
        own = (look.spread**2) * (1 - self._coefficient(state) ** 2)
        grown = np.where(state["count"] >= FEW, own * share, plain)
        before = np.where(state["count"] >= FEW, own, state["variance"])
        state["variance"] = np.where(gain > 0, before + gain * (grown - before), state["variance"])

    def _learn_coefficient(self, look: Look, residual: Floats, state: StateColumn, gain: Floats) -> None:
        bound = np.where(state["count"] >= FEW, CLIP * look.spread, np.inf)
        here, before = np.clip(residual, -bound, bound), state["residual"]
        regular = (gain > 0) & _alike(look.passed, state["step"])
        state["product"] += np.where(regular, gain * (here * before - state["product"]), 0.0)
        state["square"] += np.where(regular, gain * (before * before - state["square"]), 0.0)

    def _follow_step(self, look: Look, state: StateColumn, seen: Bools) -> None:
        """Another step twice in a row is the new one: coefficient and scale are those of that step from now on."""
        fresh = seen & (look.passed > 0) & (state["step"] == 0)
        state["step"] = np.where(fresh, look.passed, state["step"])
        moved = seen & (look.passed > 0) & ~_alike(look.passed, state["step"]) & _alike(look.passed, state["gap"])
        if moved.any():
            phi = self._coefficient(state)
            other = phi ** (look.passed / np.maximum(state["step"], 1))
            spread = state["variance"] / (1 - phi * phi)
            state["variance"] = np.where(moved, spread * (1 - other * other), state["variance"])
            state["product"] = np.where(moved, other * state["square"], state["product"])
            state["step"] = np.where(moved, look.passed, state["step"])
        state["gap"] = np.where(seen, look.passed, state["gap"])


def _alike(passed: NDArray[np.int64], step: Floats) -> Bools:
    return np.asarray(np.abs(passed - step) <= SAME * step)
