"""Errors and requests of non-overlapping windows. ../test_slow_counters.py has strategies on them."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.times import MINUTE
from bridge.strategies.stats.counts import CountingConfig, counts, take_due

NAN, INF = float("nan"), float("inf")


def batch(errors: list[float], total: list[float]) -> EventBatch:
    columns = {"errors": np.array(errors), "total": np.array(total)}
    index = np.arange(len(errors), dtype=np.int32)
    return EventBatch("failures", EventKind.INFERENCE_ERROR, 0, ModelTable(), index, columns)


def test_unusable_numbers_count_as_nothing() -> None:
    """Missing, negative and infinite ones; more errors than requests are scrapes between two queries."""
    found = counts(batch([1, NAN, -1, 2, 5, 0], [10, 10, 10, INF, 3, 0]), CountingConfig())
    assert found.usable.tolist() == [True, False, False, False, True, True]
    assert found.errors.tolist() == [1, 0, 0, 0, 3, 0]
    assert found.total.tolist() == [10, 0, 0, 0, 3, 0]
    assert found.some.tolist() == [True, False, False, False, True, False]


def test_rates_are_multiplied_by_the_window() -> None:
    found = counts(batch([0.5], [2.0]), CountingConfig(window="10m", samples="rate"))
    assert (found.errors[0], found.total[0]) == (300.0, 1200.0)


@pytest.mark.parametrize("window", ["0s", "soon", "-5m"])
def test_a_window_is_longer_than_0(window: str) -> None:
    with pytest.raises(ValidationError):
        CountingConfig(window=window)
    assert CountingConfig(window="90m").window == "1h30m"


def test_a_step_is_counted_once_while_it_is_visible() -> None:
    """The next one when its window has ended; a model without requests keeps its turn."""
    window, following = 5 * MINUTE, np.zeros(2, np.int64)
    both, first = np.array([True, True]), np.array([True, False])
    slots = [slot * MINUTE for slot in range(1, 12)]
    taken = [take_due(following, first if slot < 4 * MINUTE else both, slot, window).tolist() for slot in slots]
    assert [slot // MINUTE for slot, (one, _) in zip(slots, taken, strict=True) if one] == [1, 6, 11]
    assert [slot // MINUTE for slot, (_, two) in zip(slots, taken, strict=True) if two] == [4, 9]
