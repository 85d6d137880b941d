"""Error rates before and after a change point, averaged over its times."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.strategies.stats.averaged_change_point import CELLS, RateEstimate, rates_before_and_after


def rates(*shares: float, requests: float = 1000.0) -> RateEstimate:
    """Return the result for one history with these shares of errors."""
    errors = np.zeros((1, CELLS))
    total = np.zeros((1, CELLS))
    errors[0, : len(shares)] = np.array(shares) * requests
    total[0, : len(shares)] = requests
    return rates_before_and_after(errors, total, np.array([len(shares)]))


def test_a_constant_rate_has_not_changed() -> None:
    found = rates(*[0.1] * 20)
    assert found.now[0] == pytest.approx(0.1, abs=0.002)
    assert found.before[0] == pytest.approx(0.1, abs=0.002)
    assert found.newest[0] < 0.1


def test_both_rates_of_a_change_are_found() -> None:
    """Whenever it was; the estimate is drawn a little towards no change."""
    for at in (5, 10, 15):
        found = rates(*[0.1] * at, *[0.2] * (20 - at))
        assert found.before[0] == pytest.approx(0.1, abs=0.01)
        assert found.now[0] == pytest.approx(0.2, abs=0.02)


def test_a_change_in_the_last_cell_alone_is_marked() -> None:
    """It may be a burst."""
    assert rates(*[0.1] * 19, 0.3).newest[0] > 0.9
    assert rates(*[0.1] * 17, 0.3, 0.3, 0.3).newest[0] < 0.1


def test_a_fall_is_distinguished_from_a_rise() -> None:
    """With the number of cells before it; a single cell is no fall."""
    fall, rise, flat, one = (
        rates(*[0.2] * 12, *[0.1] * 8),
        rates(*[0.1] * 12, *[0.2] * 8),
        rates(*[0.1] * 20),
        rates(0.1),
    )
    assert (fall.fallen[0] > 0.99, fall.cells[0]) == (True, 12)
    assert (rise.fallen[0] < 0.01, rise.cells[0]) == (True, 12)
    assert flat.fallen[0] < 0.3
    assert one.fallen[0] == 0


def test_few_requests_give_a_small_change() -> None:
    """The same shares with a hundredth of the requests are less far apart."""
    shares = [0.1] * 10 + [0.2] * 10
    sure, unsure = rates(*shares), rates(*shares, requests=10.0)
    assert unsure.now[0] - unsure.before[0] < 0.5 * (sure.now[0] - sure.before[0])


def test_overdispersed_counts_are_weighed_less() -> None:
    """Shares that jump from cell to cell, with the same means."""
    jumps = np.tile([-0.08, 0.08], 10)
    level = np.array([0.1] * 10 + [0.16] * 10)
    calm, bursts = rates(*level), rates(*(level + jumps))
    assert bursts.now[0] - bursts.before[0] < calm.now[0] - calm.before[0]


def test_histories_of_different_lengths_are_independent() -> None:
    """Cells beyond `used` are not read; a single cell has no change."""
    errors, total = np.full((2, CELLS), 500.0), np.full((2, CELLS), 1000.0)
    errors[0, :20] = [100.0] * 10 + [200.0] * 10
    errors[1, 0] = 100.0
    found = rates_before_and_after(errors, total, np.array([20, 1]))
    alone = rates(*[0.1] * 10, *[0.2] * 10)
    assert [item[0] for item in found] == pytest.approx([item[0] for item in alone])
    assert (found.now[1], found.newest[1]) == (pytest.approx(0.1, abs=0.001), 0.0)
