"""Plan of the slots of a group: the present one, missed ones, and the gap before them."""

from __future__ import annotations

import pytest

from bridge.domain.times import HOUR, SECOND
from bridge.engine.evaluation.slots import Plan, plan
from tests.support.world import START, group, rule

GROUP = group(rule())
SLOT = GROUP.slot_at(START)
STEP = GROUP.interval


def test_a_new_group_starts_at_the_present_slot() -> None:
    """There is nothing to catch up before the first evaluation."""
    assert plan(GROUP, None, SLOT + 3 * SECOND, HOUR) == Plan(SLOT, (), 0)


@pytest.mark.parametrize("now", [SLOT, SLOT + STEP - 1, SLOT - 5 * STEP])
def test_a_stored_slot_is_never_planned_again(now: int) -> None:
    """Neither within the interval, nor after the clock was set back."""
    assert plan(GROUP, SLOT, now, HOUR) is None


def test_missed_slots_come_oldest_first() -> None:
    """Three intervals later there are two missed slots and the present one."""
    todo = plan(GROUP, SLOT, SLOT + 3 * STEP, HOUR)
    assert todo == Plan(SLOT + 3 * STEP, (SLOT + STEP, SLOT + 2 * STEP), 0)
    assert todo.missed_count == 2


def test_slots_older_than_the_limit_are_a_gap() -> None:
    """With a limit of two intervals, only one missed slot is caught up; the gap covers the others."""
    todo = plan(GROUP, SLOT, SLOT + 10 * STEP, 2 * STEP)
    assert todo == Plan(SLOT + 10 * STEP, (SLOT + 9 * STEP,), 8 * STEP)
