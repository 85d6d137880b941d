"""Scales on which the noise of a signal does not grow with its level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.verdict import Floats

LARGEST = 1e30  # values of this magnitude or more, infinities included, count as missing


def usable(values: Floats, batch: EventBatch) -> NDArray[np.bool_]:
    """Return which values are numbers; a latency of 0 is none."""
    known = np.abs(values) < LARGEST
    return np.asarray(known & (values > 0) if batch.event is EventKind.LATENCY else known)


def forward(values: Floats, batch: EventBatch) -> Floats:
    """Return values on their scale: the logarithm of latencies, the arcsine of the root of shares, others unchanged."""
    if batch.event is EventKind.LATENCY:
        return np.asarray(np.log(np.maximum(values, 1e-12)))
    if batch.event is EventKind.INFERENCE_ERROR:
        return np.asarray(np.arcsin(np.sqrt(np.clip(values, 0.0, 1.0))))
    return values


def backward(numbers: Floats, batch: EventBatch) -> Floats:
    """Return numbers of that scale as values in the signal's unit."""
    if batch.event is EventKind.LATENCY:
        return np.asarray(np.exp(numbers))
    if batch.event is EventKind.INFERENCE_ERROR:
        return np.asarray(np.sin(np.clip(numbers, 0.0, np.pi / 2)) ** 2)
    return numbers
