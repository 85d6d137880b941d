"""Baseline policies of retraining: never, every k, river's drift detectors, CARA's thresholds, and the oracle.

A decision after batch t puts a model into service that was trained on batch t, from batch t + 1 on. Costs are in
batches whose requests all fail: a batch with an error rate of 10 % costs 0.1, a retraining costs `ratio`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN, KSWIN
from river.drift.binary import DDM

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
PERIODS = (*range(1, 21), 25, 30, 35, 40, 45, 50)
KSWIN_MEANS = 20  # numbers a batch that KSWIN sees: it compares distributions, and single errors have none


def cost(rates: Floats, begin: int, times: Sequence[int], ratio: float) -> float:
    """Return the cost of serving from `begin`, retraining after batches `times`. rates: (trained at, served at)."""
    ends = [*times, rates.shape[1] - 1]
    total, model, first = 0.0, begin - 1, begin
    for end in ends:
        total += rates[model, first : end + 1].sum()
        model, first = end, end + 1
    return float(total + ratio * len(times))


def every(period: int, begin: int, end: int) -> list[int]:
    """Retrain after each `period` batches, but not after the last batch."""
    return list(range(begin + period - 1, end - 1, period))


def detectors() -> dict[str, Callable[[], Callable[[Flags], bool]]]:
    """Return factories of detectors by name; a detector takes the errors of a batch and returns whether to retrain."""

    def watch(make: Callable[[], object], means: int) -> Callable[[], Callable[[Flags], bool]]:
        def fresh() -> Callable[[Flags], bool]:
            detector = make()

            def see(wrong: Flags) -> bool:
                shown: Iterable[float] = wrong.reshape(means, -1).mean(axis=1).tolist() if means else wrong.tolist()
                result = False
                for item in shown:
                    detector.update(item)  # type: ignore[attr-defined]
                    result |= detector.drift_detected  # type: ignore[attr-defined]
                return result

            return see

        return fresh

    return {
        "ADWIN": watch(ADWIN, 0),
        "DDM": watch(DDM, 0),
        "KSWIN": watch(lambda: KSWIN(seed=1), KSWIN_MEANS),
    }


def detected(wrong: Flags, begin: int, fresh: Callable[[], Callable[[Flags], bool]]) -> list[int]:
    """Retrain whenever the detector reports drift; it is reset with each model."""
    times, model, see = [], begin - 1, fresh()
    for batch in range(begin, wrong.shape[1] - 1):
        if see(wrong[model, batch]):
            times.append(batch)
            model, see = batch, fresh()
    return times


def threshold_times(rates: Floats, begin: int, end: int, limit: float, *, total: bool) -> list[int]:
    """Retrain by CARA's rule: when the staleness cost of the model in service (total: since its training) is above.

    Its staleness cost weighs the model's losses on labelled data by their nearness to the queries; here every query has
    its label, and it is the error rate of the batch.
    """
    times, model, sum_ = [], begin - 1, 0.0
    for batch in range(begin, end - 1):
        sum_ = rates[model, batch] + (sum_ if total else 0.0)
        if sum_ > limit:
            times.append(batch)
            model, sum_ = batch, 0.0
    return times


def cara(rates: Floats, begin: int, ratio: float, *, total: bool) -> list[int]:
    """Return the threshold that would have cost least over the batches before `begin`."""
    past, first = rates[:begin, :begin], 1
    highest = begin * 1.0 if total else 1.0
    limits = np.unique(np.concatenate([[highest], np.quantile(past[past > 0], np.linspace(0, 1, 60))]))
    if total:
        limits = np.unique(np.concatenate([limits, np.geomspace(0.02, highest, 80)]))
    costs = [
        cost(past, first, threshold_times(past, first, begin, limit, total=total), ratio) for limit in limits.tolist()
    ]
    # Of equal ones the highest: it retrains least on what it has not seen.
    best = float(limits[np.flatnonzero(np.array(costs) <= min(costs) + 1e-9)[-1]])
    return threshold_times(rates, begin, rates.shape[1], best, total=total)


def cara_periodic(rates: Floats, begin: int, ratio: float) -> list[int]:
    """Return the times of the period (or of none) that would have cost least over the batches before `begin`."""
    periods = [*(period for period in PERIODS if period < begin), rates.shape[1]]
    past = rates[:begin, :begin]
    best = min(periods, key=lambda period: (cost(past, 1, every(period, 1, begin), ratio), -period))
    return every(best, begin, rates.shape[1])


def oracle(rates: Floats, begin: int, ratio: float) -> list[int]:
    """Return the optimal times with hindsight, by dynamic programming from the end."""
    end = rates.shape[1]
    served = np.concatenate([np.zeros((end, 1)), np.cumsum(rates, axis=1)], axis=1)
    rest, following = np.zeros(end), np.full(end, -1)
    for model in range(end - 2, begin - 2, -1):
        until = np.arange(model + 1, end - 1)
        options = served[model, until + 1] - served[model, model + 1] + ratio + rest[until]
        keep = served[model, end] - served[model, model + 1]
        better = len(options) > 0 and options.min() < keep
        rest[model] = options.min() if better else keep
        following[model] = until[options.argmin()] if better else -1
    times, model = [], following[begin - 1]
    while model >= 0:
        times.append(int(model))
        model = following[model]
    return times
