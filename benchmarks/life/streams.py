"""Detectors of the package `river`, sample by sample: ADWIN, KSWIN and Page-Hinkley."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import drift

from benchmarks.life.baselines import numbers
from benchmarks.life.measure import BOTH
from benchmarks.life.signals import EVENTS, Signals

Bools = NDArray[np.bool_]
WARM_UP = 100  # samples by which numbers are scaled
RECENT = 30  # samples whose mean shows the direction of a change

SETTINGS: dict[str, tuple[Callable[[float], Any], tuple[float, ...]]] = {
    "ADWIN": (lambda delta: drift.ADWIN(delta=delta), (1e-2, 1e-4, 1e-8, 1e-16, 1e-32, 1e-64)),
    "KSWIN": (lambda alpha: drift.KSWIN(alpha=alpha, window_size=300, stat_size=30, seed=1), (1e-6, 1e-10, 1e-14)),
    "Page-Hinkley": (
        lambda limit: drift.PageHinkley(min_instances=WARM_UP, delta=0.05, threshold=limit, mode="both"),
        (50.0, 200.0, 800.0, 3200.0, 12800.0),
    ),
}  # fmt: skip


def detect(signals: Signals, make: Callable[[float], Any], setting: float, models: int) -> Bools:
    """Return at which slots (n, models) a detector reports a change in a direction that counts.

    Numbers are scaled by mean and standard deviation of the first WARM_UP samples.
    """
    both = EVENTS[signals.kind.observable] in BOTH
    values = numbers(signals)[:, :models]
    found = np.zeros(values.shape, np.bool_)
    for model in range(values.shape[1]):
        present = np.flatnonzero(~np.isnan(values[:, model]))
        sample = values[present, model]
        spread = max(float(sample[:WARM_UP].std()), 1e-6) if len(sample) else 1.0
        scaled = (sample - sample[:WARM_UP].mean()) / spread if len(sample) else sample
        detector, mean = make(setting), 0.0
        for at, value in enumerate(np.clip(scaled, -50, 50).tolist()):
            detector.update(value)
            if detector.drift_detected:
                found[present[at], model] = both or scaled[max(at - RECENT + 1, 0) : at + 1].mean() > mean
            mean += (value - mean) / min(at + 1, 2000)
    return found
