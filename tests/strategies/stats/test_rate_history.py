"""Comebacks and rises of error rates: by hand, and the shares of chance."""

from __future__ import annotations

import numpy as np

from bridge.strategies.stats.averaged_change_point import CELLS
from bridge.strategies.stats.rate_history import count_recoveries, newest_rise

EACH = 1000.0


def cells(rates: list[list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact counts of histories, padded to the width of the state."""
    used = np.array([len(one) for one in rates])
    errors = np.array([[*(EACH * rate for rate in one), *[0.0] * (CELLS - len(one))] for one in rates])
    total = np.where(np.arange(CELLS) < used[:, None], EACH, 0.0)
    return errors, total, used


def test_a_rate_that_came_back_by_itself_is_counted() -> None:
    """Up, down, up: one comeback. Two of them, one jump, a ramp, a flat history: two, none, none, none."""
    low, high = [0.05] * 8, [0.2] * 8
    ramp = [0.05 + 0.005 * step for step in range(30)]
    found = count_recoveries(
        *cells([low + high + low + high, low + high + low + high + low, low + high, ramp, low, [0.1]])
    )
    assert found.tolist() == [1, 2, 0, 0, 0, 0]


def test_noise_is_no_comeback() -> None:
    """Of 2,000 histories at a constant rate hardly any comes back; of recurring ones all do."""
    rng = np.random.default_rng(34)
    total, used = np.full((2000, CELLS), EACH), np.full(2000, 40)
    flat = rng.binomial(1000, 0.1, (2000, CELLS)).astype(float)
    assert np.mean(count_recoveries(flat, total, used) > 0) < 0.2
    waves = rng.binomial(1000, np.where(np.arange(CELLS) // 8 % 2 == 0, 0.05, 0.2), (2000, CELLS)).astype(float)
    assert (count_recoveries(waves, total, used) == 2).mean() > 0.99


def test_a_gradual_change_rises_and_a_jump_does_not() -> None:
    """A ramp over eight cells is under way; a level that was reached, a fall and a flat history are not."""
    flat = [0.05] * 20
    ramp = flat + [0.05 + 0.02 * step for step in range(1, 9)]
    jump = flat + [0.2] * 6
    fall = [0.2] * 20 + [0.15, 0.1, 0.05, 0.05]
    rise = newest_rise(*cells([ramp, jump, fall, flat, [0.1, 0.2]]))
    assert rise.rising.tolist() == [True, False, False, False, False]
    assert rise.cells.tolist()[1] == 6
    assert 3 <= rise.cells[0] <= 8


def test_the_mixture_at_the_beginning_of_a_jump_is_no_rise() -> None:
    """Two cells, of which the first one has old and new requests."""
    rise = newest_rise(*cells([[0.05] * 20 + [0.15, 0.25]]))
    assert (rise.cells.tolist(), rise.rising.tolist()) == ([2], [False])


def test_short_histories_have_no_rise() -> None:
    """Two cells have no halves."""
    rise = newest_rise(*cells([[0.1, 0.3]]))
    assert (rise.cells.tolist(), rise.rising.tolist()) == ([0], [False])
