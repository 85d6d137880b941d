"""Requests of `strategy: auto` on scores in [0, 1]: p-values, saturated scores, accuracies.

    python -m benchmarks.proportions [--seed N] [--models 40]

Each model is observed for 17 days, with a value every five minutes; then its signal changes for three hours. A request
is the beginning of an alarm; it is false before the change, and detects it until ten minutes after its end.

--seed: of the signals; by default it is drawn, and printed. The last line is one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from benchmarks.auto import START, Watch
from benchmarks.draws import ar1, models_and_seed
from bridge.domain.batch import EventKind
from bridge.domain.times import MINUTE

Floats = NDArray[np.float64]
PER_DAY = 288  # samples
BEFORE, CHANGE, LATE = 17 * PER_DAY, 36, 2  # samples


class Draw:
    """Random numbers (n, models) of one signal."""

    def __init__(self, seed: int, models: int) -> None:
        self._rng, self.shape = np.random.default_rng(seed), (BEFORE + CHANGE + LATE, models)
        self.changed = np.zeros(self.shape, np.bool_)
        self.changed[BEFORE : BEFORE + CHANGE] = True

    def noise(self, phi: float) -> Floats:
        """Return AR(1) noise of unit variance."""
        return ar1(self._rng, self.shape, phi)

    def often(self, p: float) -> NDArray[np.bool_]:
        """Return what is true with probability p."""
        return np.asarray(self._rng.random(self.shape) < p)

    def uniform(self) -> Floats:
        """Return numbers between 0 and 1."""
        return self._rng.random(self.shape)

    def share(self, of: int, before: float, after: float) -> Floats:
        """Return the share of `of` answers that are right."""
        return self._rng.binomial(of, np.where(self.changed, after, before)) / of

    def wave(self) -> Floats:
        """Return a daily wave, from -1 to 1."""
        return np.sin(2 * np.pi * np.arange(len(self.changed)) / PER_DAY)[:, None]


def significance(phi: float) -> Callable[[Draw], Floats]:
    """Return 1 minus the p-value of a drift test, which rises by three standard deviations before it is one."""
    return lambda draw: norm.cdf(draw.noise(phi) + 3 * draw.changed)


def certain(phi: float) -> Callable[[Draw], Floats]:
    """Return 1 minus a p-value that becomes 0."""
    return lambda draw: np.where(draw.changed, 1.0, norm.cdf(draw.noise(phi)))


def capped(phi: float) -> Callable[[Draw], Floats]:
    """Return a score that is capped at 1, and reaches it in 8 % of the samples."""
    return lambda draw: np.minimum(1.0, np.exp(-1 + 0.7 * draw.noise(phi) + 1.5 * draw.changed))


def accuracy(phi: float) -> Callable[[Draw], Floats]:
    """Return an accuracy around 0.95 that falls by three standard deviations of its logit."""
    return lambda draw: expit(3 + draw.noise(phi) - 3 * draw.changed)


SIGNALS: dict[str, tuple[EventKind, Callable[[Draw], Floats]]] = {
    **{f"1 - p of a test, AR {phi:g}, rises": (EventKind.DRIFT, significance(phi)) for phi in (0.0, 0.5, 0.9)},
    **{f"1 - p of a test, AR {phi:g}, becomes 1": (EventKind.DRIFT, certain(phi)) for phi in (0.0, 0.5, 0.9)},
    **{f"score capped at 1, AR {phi:g}": (EventKind.DRIFT, capped(phi)) for phi in (0.0, 0.5, 0.9)},
    **{f"accuracy of 0.95, AR {phi:g}": (EventKind.CUSTOM, accuracy(phi)) for phi in (0.0, 0.5, 0.9)},
    "accuracy on 50, 0.96 to 0.85": (EventKind.CUSTOM, lambda draw: draw.share(50, 0.96, 0.85)),
    "accuracy on 20, 0.9 to 0.7": (EventKind.CUSTOM, lambda draw: draw.share(20, 0.9, 0.7)),
    "score with a daily wave": (
        EventKind.DRIFT, lambda draw: expit(1 + 0.5 * draw.wave() + 0.4 * draw.noise(0.0) + 1.2 * draw.changed)
    ),
    "small score, tripled": (EventKind.DRIFT, lambda draw: np.exp(-3 + 0.4 * draw.noise(0.0) + 1.1 * draw.changed)),
    "score of 0, sometimes more": (
        EventKind.DRIFT, lambda draw: np.where(draw.often(0.05) | draw.changed, draw.uniform(), 0.0)
    ),
    "accuracy of 1, sometimes less": (
        EventKind.CUSTOM, lambda draw: 1 - np.where(draw.often(0.05) | draw.changed, 0.3 * draw.uniform(), 0.0)
    ),
    "flag, 5 % to 60 %": (
        EventKind.DRIFT, lambda draw: np.where(draw.changed, draw.often(0.6), draw.often(0.05)).astype(np.float64)
    ),
    "value around 1": (EventKind.CUSTOM, lambda draw: 1 + 0.1 * draw.noise(0.0) + 0.3 * draw.changed),
}  # fmt: skip


def measure(event: EventKind, values: Floats) -> tuple[float, int]:
    """Return false requests per model and quarter, and how many models (n, models) were detected."""
    watch = Watch(values.shape[1], event)
    asks = np.stack([watch.see(START + at * 5 * MINUTE, {"value": row}) for at, row in enumerate(values)])
    quarters = values.shape[1] * BEFORE / PER_DAY / 90
    return float(asks[:BEFORE].sum()) / quarters, int(asks[BEFORE:].any(axis=0).sum())


def main() -> None:
    """Print a line for each signal, and the summary last."""
    models, seed = models_and_seed(__doc__)
    result = {}
    for name, (event, signal) in SIGNALS.items():
        false, detected = measure(event, signal(Draw(seed, models)))
        result[name] = {"false_per_quarter": round(false, 2), "detected": detected}
        print(f"{name}: {false:.2f} false requests a quarter, {detected} of {models} detected", flush=True)
    print(json.dumps({"seed": seed, "models": models, "proportions": result}))


if __name__ == "__main__":
    main()
