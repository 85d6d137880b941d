"""The threads of the destinations: woken, waiting, surviving errors, stopping in time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bridge.app import couriers
from bridge.app.couriers import Couriers
from bridge.domain.errors import StoreFullError


def now() -> int:
    return time.time_ns() // 1_000_000


class Work:
    """Worker that counts its steps and runs a function of the test."""

    def __init__(self, act: Callable[[int], int | None]) -> None:
        self.act = act
        self.instants: list[float] = []  # of the steps, monotonic
        self.stepped = threading.Condition()
        self.finished = False

    def step(self, clock: Callable[[], int]) -> int | None:
        with self.stepped:
            self.instants.append(time.monotonic())
            self.stepped.notify_all()
        return self.act(clock())

    def finish(self, clock: Callable[[], int]) -> None:
        self.finished = True

    def wait_for(self, steps: int, timeout: float = 300.0) -> bool:
        with self.stepped:
            return self.stepped.wait_for(lambda: len(self.instants) >= steps, timeout)


@pytest.fixture
def run() -> Iterator[Callable[..., Couriers]]:
    started: list[Couriers] = []

    def start(**workers: Work) -> Couriers:
        running = Couriers(workers, now)
        started.append(running)
        running.start()
        return running

    yield start
    for running in started:
        assert running.stop(300)


def test_a_worker_is_called_again_while_it_has_work(run: Callable[..., Couriers]) -> None:
    """A result that is not after now means: more is due."""
    work = Work(lambda at: at)
    run(a=work)
    assert work.wait_for(50)


def test_an_idle_worker_sleeps_until_it_is_woken(run: Callable[..., Couriers]) -> None:
    """None means that nothing waits. A commit wakes the thread at once."""
    work = Work(lambda at: None)
    running = run(a=work)
    assert work.wait_for(1)
    assert not work.wait_for(2, 0.2)
    running.wake()
    assert work.wait_for(2)
    assert not work.wait_for(10, 0.2)


def test_a_worker_is_called_at_the_instant_that_it_named(run: Callable[..., Couriers]) -> None:
    """Never before: a back-off is respected."""
    work = Work(lambda at: at + 300)
    run(a=work)
    assert work.wait_for(2)
    assert work.instants[1] - work.instants[0] > 0.25


def test_no_courier_sleeps_longer_than_the_longest_wait(
    run: Callable[..., Couriers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was set ahead and back must not put a destination to sleep for days."""
    monkeypatch.setattr(couriers, "LONGEST_WAIT", 20)
    work = Work(lambda at: at + 86_400_000)
    run(a=work)
    assert work.wait_for(5)


def test_a_store_that_fails_ends_no_thread_and_is_reported_once(
    run: Callable[..., Couriers], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a full disk, delivery continues once there is room again. The error is logged once, not at every step."""
    monkeypatch.setattr(couriers, "AFTER_ERROR", 5)
    full = threading.Event()
    full.set()

    def act(at: int) -> int | None:
        if full.is_set():
            raise StoreFullError("no space left")
        return None

    work = Work(act)
    with caplog.at_level(logging.ERROR):
        run(a=work)
        assert work.wait_for(5)
        full.clear()
        assert work.wait_for(len(work.instants) + 1)
    assert [record.getMessage() for record in caplog.records] == ["delivery failed, will continue"]
    assert caplog.records[0].__dict__["destination"] == "a"
    assert (caplog.records[0].__dict__["error"], caplog.records[0].exc_info) == ("no space left", None)


def test_one_worker_that_hangs_holds_up_no_other(run: Callable[..., Couriers]) -> None:
    """Each destination has its own thread."""
    gate = threading.Event()
    stuck, free = Work(lambda at: gate.wait(300) and None), Work(lambda at: at)
    run(a=stuck, b=free)
    assert stuck.wait_for(1)
    assert free.wait_for(50)
    gate.set()


def test_stop_begins_nothing_new_and_waits_for_what_runs() -> None:
    """Attempts in progress may finish; nothing is claimed after them."""
    release, entered = threading.Event(), threading.Event()

    def act(at: int) -> int:
        entered.set()
        release.wait(300)
        return at

    work = Work(act)
    running = Couriers({"a": work}, now)
    running.start()
    assert entered.wait(300)
    threading.Timer(0.1, release.set).start()
    assert running.stop(300)
    assert len(work.instants) == 1


def test_stop_abandons_what_is_not_answered_in_time(caplog: pytest.LogCaptureFixture) -> None:
    """The process must be able to exit: the lease repeats an abandoned attempt, whose failure is not logged."""
    release, entered = threading.Event(), threading.Event()

    def act(at: int) -> int:
        entered.set()
        release.wait(300)
        raise StoreFullError("closed meanwhile")

    running = Couriers({"a": Work(act)}, now)
    running.start()
    assert entered.wait(300)
    assert not running.stop(0.1)
    release.set()
    assert running.stop(300)
    assert caplog.records == []


def test_couriers_that_never_started_can_be_stopped() -> None:
    """A start that failed half-way cleans up after itself."""
    assert Couriers({"a": Work(lambda at: None)}, now).stop(1)
