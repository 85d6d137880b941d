"""Intervals of shares and of their differences, by published examples."""

from __future__ import annotations

from bridge.authoring.impact.intervals import difference, share


def test_a_share_has_wilsons_interval() -> None:
    """Numbers of a textbook: 81 of 263."""
    found = share(81, 263)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert share(0, 0) is None


def test_a_difference_has_newcombes_interval() -> None:
    """Newcombe's example: 56 of 70 against 48 of 80, without continuity correction."""
    one, other = share(56, 70), share(48, 80)
    assert one is not None
    assert other is not None
    found = difference(one, other)
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.2, 0.0524, 0.3339)
