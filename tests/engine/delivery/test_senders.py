"""Execution of attempts: one after the other, or several at once."""

from __future__ import annotations

import threading

import pytest

from bridge.engine.delivery import senders
from bridge.engine.delivery.senders import AtOnce, InTurn


def test_tasks_run_one_at_each_collect() -> None:
    ran: list[int] = []

    def run(task: int) -> int:
        ran.append(task)
        return task * 10

    one = InTurn(run)
    for task in (1, 2, 3):
        one.submit(task)
    assert (one.busy, ran) == (3, [])
    assert one.collect() == [10]
    assert (one.busy, ran) == (2, [1])
    assert one.withdraw() == [2, 3]
    assert (one.busy, one.collect(), ran) == (0, [], [1])
    one.close()


def collected(many: AtOnce[int, int], number: int) -> list[int]:
    """Collect so many results; each call waits up to a second."""
    found: list[int] = []
    for _ in range(60):
        found += many.collect()
        if len(found) >= number:
            break
    return sorted(found)


def test_several_tasks_run_at_once_up_to_the_limit() -> None:
    """Two are in progress together; a third begins when one has ended."""
    both, go = threading.Barrier(3), threading.Event()

    def run(task: int) -> int:
        if task <= 2:
            both.wait(60)
            go.wait(60)
        return task

    many = AtOnce[int, int](run, 2, "test")
    try:
        for task in (1, 2, 3):
            many.submit(task)
        both.wait(60)  # both began, and the third cannot have
        assert many.busy == 3
        assert many.withdraw() == [3]
        assert many.busy == 2
        go.set()
        assert collected(many, 2) == [1, 2]
        assert many.busy == 0
    finally:
        go.set()
        many.close()


def test_no_thread_is_started_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One task at a time needs one thread."""
    names: list[str] = []
    original = threading.Thread

    def thread(**options: object) -> threading.Thread:
        names.append(str(options["name"]))
        return original(**options)  # type: ignore[arg-type]

    monkeypatch.setattr(threading, "Thread", thread)
    many = AtOnce[int, int](lambda task: task, 5, "test")
    for task in range(4):
        many.submit(task)
        assert collected(many, 1) == [task]
    many.close()
    assert names == ["sender test"]


def test_collecting_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A courier must see that it is to stop."""
    monkeypatch.setattr(senders, "LONGEST_WAIT", 0.01)
    many = AtOnce[int, int](lambda task: task, 5, "test")
    assert many.collect() == []


def test_after_closing_new_tasks_have_threads_again() -> None:
    many = AtOnce[int, int](lambda task: task, 2, "test")
    many.submit(1)
    assert collected(many, 1) == [1]
    many.close()
    many.submit(2)
    assert collected(many, 1) == [2]
    many.close()
