"""Scales of signals: there and back, and which values are numbers."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.strategies.stats.scale import backward, forward, usable


def batch(event: EventKind) -> EventBatch:
    return EventBatch("x", event, 1_700_006_400_000, ModelTable(), np.zeros(0, np.int32), {"value": np.zeros(0)})


@pytest.mark.parametrize("event", [EventKind.LATENCY, EventKind.INFERENCE_ERROR, EventKind.CUSTOM, EventKind.DRIFT])
def test_values_come_back(event: EventKind) -> None:
    """Shares lie between 0 and 1, latencies above 0."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    values = np.random.default_rng(seed).uniform(0.01, 0.99, 50)
    assert backward(forward(values, batch(event)), batch(event)) == pytest.approx(values)


def test_scales_are_the_logarithm_and_the_arcsine_of_the_root() -> None:
    """Other signals keep their unit."""
    values = np.array([0.25])
    assert forward(values, batch(EventKind.LATENCY))[0] == pytest.approx(math.log(0.25))
    assert forward(values, batch(EventKind.INFERENCE_ERROR))[0] == pytest.approx(math.asin(0.5))
    assert forward(values, batch(EventKind.CUSTOM))[0] == 0.25


def test_a_latency_of_zero_is_no_number() -> None:
    """Nor are infinities, NaN, and values too large to compute with."""
    values = np.array([0.0, -1.0, 1.0, math.nan, math.inf, 1e31])
    assert usable(values, batch(EventKind.LATENCY)).tolist() == [False, False, True, False, False, False]
    assert usable(values, batch(EventKind.CUSTOM)).tolist() == [True, True, True, False, False, False]
