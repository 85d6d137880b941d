"""Scales of signals: there and back, and which values are numbers."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.strategies.stats.scale import EDGE, LOGIT, UNCHANGED, backward, chosen, forward, usable, within


def batch(event: EventKind) -> EventBatch:
    return EventBatch("x", event, 1_700_006_400_000, ModelTable(), np.zeros(0, np.int32), {"value": np.zeros(0)})


@pytest.mark.parametrize("event", [EventKind.LATENCY, EventKind.INFERENCE_ERROR, EventKind.CUSTOM, EventKind.DRIFT])
def test_values_come_back(event: EventKind) -> None:
    """Shares lie between 0 and 1, latencies above 0."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    values = np.random.default_rng(seed).uniform(0.01, 0.99, 50)
    logit = np.arange(50) % 2 == 0
    assert backward(forward(values, batch(event), logit), batch(event), logit) == pytest.approx(values)


def test_proportions_come_back_from_beyond_their_range() -> None:
    """The scale rises without a jump, also below 0 and above 1, and is almost linear at both bounds."""
    values, logit = np.array([-5.0, -0.1, 0.0, 1e-9, 0.3, 1.0, 1.1, 40.0]), np.ones(8, np.bool_)
    numbers = forward(values, batch(EventKind.DRIFT), logit)
    assert (np.diff(numbers) > 0).all()
    assert numbers[3] - numbers[2] < 1e-6
    assert backward(numbers, batch(EventKind.DRIFT), logit) == pytest.approx(values, abs=1e-9)
    far = forward(np.array([-1e29, 1e29]), batch(EventKind.DRIFT), logit[:2])
    assert np.isfinite(backward(20 * far, batch(EventKind.DRIFT), logit[:2])).all()


def test_the_scale_of_proportions_is_the_logit_away_from_the_bounds() -> None:
    values, logit = np.array([0.5, 0.25, 0.0]), np.ones(3, np.bool_)
    expected = [0.0, math.log((0.25 + EDGE) / (0.75 + EDGE)), math.log(EDGE / (1 + EDGE))]
    assert forward(values, batch(EventKind.CUSTOM), logit) == pytest.approx(expected)
    assert forward(values, batch(EventKind.CUSTOM), ~logit).tolist() == values.tolist()


def test_values_between_0_and_1_call_for_the_logit() -> None:
    """A custom signal below 0.5 does not."""
    values = np.array([0.0, 1.0, 0.5, 0.4, -0.1, 1.1])
    assert chosen(values, batch(EventKind.DRIFT)).tolist() == [0, 0, LOGIT, LOGIT, UNCHANGED, UNCHANGED]
    assert chosen(values, batch(EventKind.CUSTOM)).tolist() == [UNCHANGED, 0, LOGIT, UNCHANGED, UNCHANGED, UNCHANGED]
    assert chosen(values, batch(EventKind.LATENCY)).tolist() == [0] * 6


def test_bounds_of_proportions_end_at_0_and_1() -> None:
    bounds, logit = np.array([-0.1, 0.5, 1.2, 1.2]), np.array([True, True, True, False])
    assert within(bounds, logit) == pytest.approx([math.nan, 0.5, math.nan, 1.2], nan_ok=True)


def test_scales_are_the_logarithm_and_the_arcsine_of_the_root() -> None:
    """Other signals keep their unit."""
    values, plain = np.array([0.25]), np.zeros(1, np.bool_)
    assert forward(values, batch(EventKind.LATENCY), plain)[0] == pytest.approx(math.log(0.25))
    assert forward(values, batch(EventKind.INFERENCE_ERROR), plain)[0] == pytest.approx(math.asin(0.5))
    assert forward(values, batch(EventKind.CUSTOM), plain)[0] == 0.25


def test_a_latency_of_zero_is_no_number() -> None:
    """Nor are infinities, NaN, and values too large to compute with."""
    values = np.array([0.0, -1.0, 1.0, math.nan, math.inf, 1e31])
    assert usable(values, batch(EventKind.LATENCY)).tolist() == [False, False, True, False, False, False]
    assert usable(values, batch(EventKind.CUSTOM)).tolist() == [True, True, True, False, False, False]


def test_a_latency_beyond_the_largest_number_of_four_bytes_is_the_largest() -> None:
    """A bound far above latencies of 1e29 has none above it. The state has four bytes for an expected latency."""
    with np.errstate(over="raise"):
        found = backward(np.array([80.0, 700.0, np.nan]), batch(EventKind.LATENCY), np.zeros(3, np.bool_))
        assert 1e38 < found.astype(np.float32)[1] < math.inf
    assert found[0] == math.exp(80)
    assert np.isnan(found[2])
