"""Scales on which the noise of a signal does not grow with its level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.verdict import Floats

LOGIT, UNCHANGED = 1, 2  # scales of signals that are neither latencies nor error rates; 0 while unknown
EDGE = 0.02  # added to a proportion and to its complement: closer to 0 and 1, the logit is almost linear
FARTHEST = 700.0  # logit whose odds can still be computed
LARGEST_LOG = 88.7  # logarithm of almost the largest float of four bytes, as the state has them
LARGEST = 1e30  # values of this magnitude or more, infinities included, count as missing


def usable(values: Floats, batch: EventBatch) -> NDArray[np.bool_]:
    """Return which values are numbers; a latency of 0 is none."""
    known = np.abs(values) < LARGEST
    return np.asarray(known & (values > 0) if batch.event is EventKind.LATENCY else known)


def chosen(values: Floats, batch: EventBatch) -> NDArray[np.int8]:
    """Return the scale (k,) that each value calls for: LOGIT between 0 and 1, UNCHANGED beyond, 0 for 0 and 1.

    A custom signal may have no bound at 1. It calls for LOGIT from 0.5 to 1, and for UNCHANGED below.
    """
    if batch.event in {EventKind.LATENCY, EventKind.INFERENCE_ERROR}:
        return np.zeros(len(values), np.int8)
    lowest = 0.5 if batch.event is EventKind.CUSTOM else 0.0
    scales = np.where((values < lowest) | (values > 1.0), UNCHANGED, LOGIT)
    return np.where((values == 0.0) & (lowest == 0.0) | (values == 1.0), 0, scales).astype(np.int8)


def forward(values: Floats, batch: EventBatch, logit: NDArray[np.bool_]) -> Floats:
    """Return values on their scale.

    That is the logarithm of latencies, the arcsine of the root of error rates, the logit where `logit` (k,) is
    True, and others unchanged.
    """
    if batch.event is EventKind.LATENCY:
        return np.asarray(np.log(np.maximum(values, 1e-12)))
    if batch.event is EventKind.INFERENCE_ERROR:
        return np.asarray(np.arcsin(np.sqrt(np.clip(values, 0.0, 1.0))))
    if not logit.any():
        return values
    below, above = np.maximum(values, 0.0) + EDGE, np.maximum(1.0 - values, 0.0) + EDGE
    return np.where(logit, np.log(below / above), values)


def backward(numbers: Floats, batch: EventBatch, logit: NDArray[np.bool_]) -> Floats:
    """Return numbers of that scale as values in the signal's unit."""
    if batch.event is EventKind.LATENCY:
        return np.asarray(np.exp(np.minimum(numbers, LARGEST_LOG)))
    if batch.event is EventKind.INFERENCE_ERROR:
        return np.asarray(np.sin(np.clip(numbers, 0.0, np.pi / 2)) ** 2)
    if not logit.any():
        return numbers
    odds = np.exp(np.clip(np.where(logit, numbers, 0.0), -FARTHEST, FARTHEST))
    inside = ((1.0 + EDGE) * odds - EDGE) / (1.0 + odds)
    low, high = 1.0 + EDGE - EDGE / odds, EDGE * odds - EDGE
    values = np.where(inside < 0.0, low, np.where(inside > 1.0, high, inside))
    return np.where(logit, values, numbers)


def within(bounds: Floats, logit: NDArray[np.bool_]) -> Floats:
    """Return bounds (k,) in the signal's unit; NaN for those that no proportion can exceed."""
    return np.where(logit & ((bounds < 0.0) | (bounds > 1.0)), np.nan, bounds)


def both(values: Floats) -> Floats:
    """Return values (k,) for both directions (k, 2), so that higher is more extreme on each."""
    return np.stack([values, -values], axis=1)
