"""Range of a signal by hour of the day."""

from __future__ import annotations

import numpy as np

from bridge.domain.times import DAY, HOUR
from bridge.strategies.stats.hourly_range import LASTS, HourlyRange

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC


def test_a_level_of_the_last_days_is_within_the_range() -> None:
    """By hour of the day, beyond a margin; a bound lasts for nine days, and hours marked as odd do not widen it."""
    hours = HourlyRange()
    own = np.zeros(1, list(hours.fields))

    def news(value: float, at: int, *, odd: bool = False) -> bool:
        found = hours.step(np.array([value]), np.array([0.1]), START + at * HOUR, np.array([DAY]), own)
        hours.mark(np.array([odd]), own)
        return bool(found.level[0, 0])

    assert news(1.0, 0)  # nothing is known of this hour
    news(0.0, 1)
    assert not news(1.05, 24)
    news(0.0, 25)
    assert news(1.2, 48, odd=True)
    news(0.0, 49)
    assert news(1.2, 72)
    news(0.0, 73)
    for day in range(4, 4 + LASTS):
        assert not news(1.2, 24 * day)
        news(0.0, 24 * day + 1)
