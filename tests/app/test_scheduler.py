"""Scheduling with the real APScheduler: an overrun is neither run twice nor lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bridge.app.clock import Steps
from bridge.app.scheduler import EVALUATE, Scheduler, SlotTrigger
from bridge.domain.rule import Group
from bridge.domain.times import from_datetime
from tests.support.processes import wait_until


def group(name: str = "g", seconds: int = 60, phase: int = 0) -> Group:
    return Group(name, seconds * 1000, {}, (), fixed_phase=phase)


def at(second: float) -> datetime:
    return datetime(2023, 11, 14, 22, 0, tzinfo=UTC) + timedelta(seconds=second)


@pytest.mark.parametrize(
    ("previous", "now", "expected"),
    [(0, 0, 60), (0, 59, 60), (0, 60, 60), (0, 61, 120), (60, 60, 120), (0, 1000, 1020)],
)
def test_the_next_slot_is_the_first_that_is_not_past(previous: float, now: float, expected: float) -> None:
    """The evaluation itself catches up on slots that have passed."""
    assert SlotTrigger(group()).get_next_fire_time(at(previous), at(now)) == at(expected)


def test_a_start_evaluates_at_once() -> None:
    """A gap is caught up without waiting for the next slot."""
    assert SlotTrigger(group()).get_next_fire_time(None, at(17)) == at(17)


def test_slots_are_shifted_by_the_groups_phase() -> None:
    """So that groups do not all query at once."""
    assert SlotTrigger(group(phase=7000)).get_next_fire_time(at(0), at(1)) == at(7)


@pytest.mark.parametrize(
    ("lead", "left", "wait"), [(1, 59, 60), (30, 30, 60), (40, 20, 40), (61, 59, 118), (3600, 60, 120)]
)
def test_slots_follow_the_bridges_time_while_it_is_ahead_of_the_wall_clock(lead: int, left: int, wait: int) -> None:
    """It runs at half pace until the wall clock has caught up. left: ms to the slot on the bridge's clock."""
    trigger = SlotTrigger(group(), lambda: lead * 1000)
    assert trigger._group.slot_at(from_datetime(at(lead))) + 60_000 - from_datetime(at(lead)) == left * 1000
    assert trigger.get_next_fire_time(at(3600), at(0)) == at(wait)


Start = Callable[[Scheduler], Scheduler]


@pytest.fixture
def running() -> Iterator[Start]:
    """Yield a factory of schedulers, and stop them at the end."""
    started: list[Scheduler] = []

    def start(scheduler: Scheduler) -> Scheduler:
        started.append(scheduler)
        scheduler.start()
        return scheduler

    yield start
    for scheduler in started:
        scheduler.stop()


def test_groups_are_evaluated_at_their_slots(running: Start) -> None:
    """Two groups, one second apart: each is evaluated repeatedly by name."""
    called: list[str] = []
    scheduler = running(Scheduler(called.append))
    scheduler.schedule((group("a", 1), group("b", 1)))
    wait_until(lambda: called.count("a") >= 3 and called.count("b") >= 3, 10, "three evaluations of both groups")


def test_an_overrun_is_not_started_twice_and_the_next_slot_runs(
    running: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that overruns a slot logs one warning, gets no second thread, and continues afterwards."""
    calls: list[int] = []
    hanging, entered = threading.Event(), threading.Event()

    def evaluate(name: str) -> None:
        calls.append(1)
        entered.set()
        if len(calls) == 1:
            hanging.wait(300)

    scheduler = running(Scheduler(evaluate))
    scheduler.schedule((group("slow", 1),))
    assert entered.wait(300)
    wait_until(lambda: "still running" in caplog.text, 10, "the warning about the slot that was skipped")
    assert calls == [1]
    hanging.set()
    wait_until(lambda: len(calls) >= 3, 10, "evaluations after the overrun")


def test_a_job_that_raises_is_logged_and_fired_again(running: Start, caplog: pytest.LogCaptureFixture) -> None:
    """One bad evaluation does not end the group."""
    calls: list[int] = []

    def evaluate(name: str) -> None:
        calls.append(1)
        raise RuntimeError("broken")

    scheduler = running(Scheduler(evaluate))
    scheduler.schedule((group("bad", 1),))
    wait_until(lambda: len(calls) >= 2, 10, "a second evaluation")
    assert "job failed" in caplog.text


def test_rescheduling_drops_groups_that_are_gone(running: Start) -> None:
    """After a reload only the new groups are evaluated."""
    called: list[str] = []
    scheduler = running(Scheduler(called.append))
    scheduler.schedule((group("old", 1),))
    wait_until(lambda: "old" in called, 10, "the old group")
    scheduler.schedule((group("new", 1),))
    wait_until(lambda: called.count("new") >= 2, 10, "the new group")
    assert [job.id for job in scheduler._scheduler.get_jobs()] == [EVALUATE + "new"]


def test_chores_run_at_their_interval(running: Start) -> None:
    """Polling and pruning."""
    done: list[int] = []
    scheduler = Scheduler(lambda name: None)
    scheduler.every(100, "chore", lambda: done.append(1))
    running(scheduler)
    wait_until(lambda: len(done) >= 2, 10, "two runs of the chore")


def hourly() -> Group:
    """Return a group of one slot an hour, the next one in half an hour."""
    return group("slow", 3600, from_datetime(datetime.now(UTC) + timedelta(minutes=30)) % 3_600_000)


class Wall(Steps):
    """Wall clock that the test sets; APScheduler's own is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0

    def look(self) -> tuple[int, int]:
        found, self.step = self.step, 0
        return 0, found * 1_000_000


def test_a_clock_that_is_set_back_makes_nothing_wait(running: Start) -> None:
    """A job that is an hour away after a step back by an hour was due now: it runs within seconds."""
    done: list[str] = []
    wall = Wall()
    scheduler = Scheduler(lambda name: done.append("slot"), steps=wall)
    scheduler.every(3_600_000, "chore", lambda: done.append("chore"))
    scheduler.schedule((hourly(),))
    running(scheduler)
    wait_until(lambda: done == ["slot"], 10, "the evaluation at the start")
    wall.step = -3_600_000
    wait_until(lambda: sorted(done) == ["chore", "slot", "slot"], 10, "both, though their time has not come")


def test_a_clock_that_is_set_forward_makes_everything_due_once(running: Start) -> None:
    """Also after a night of suspension: jobs that were due run at once, and once."""
    done: list[str] = []
    wall = Wall()
    scheduler = Scheduler(lambda name: done.append("slot"), steps=wall)
    scheduler.every(3_600_000, "chore", lambda: done.append("chore"))
    scheduler.schedule((hourly(),))
    running(scheduler)
    wait_until(lambda: done == ["slot"], 10, "the evaluation at the start")
    wall.step = 8 * 3_600_000
    wait_until(lambda: sorted(done) == ["chore", "slot", "slot"], 10, "both")
