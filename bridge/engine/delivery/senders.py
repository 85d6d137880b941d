"""Execution of a destination's attempts: one after the other, or several at once."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")
LONGEST_WAIT = 1.0  # seconds until a courier looks whether it is to stop
GATHER = 0.02  # seconds to wait for more outcomes after the first, so that they are settled together


class Senders(Protocol[Task, Done]):
    """Executor of tasks. Not thread-safe: for one courier."""

    @property
    def busy(self) -> int:
        """Number of tasks that were submitted and neither collected nor withdrawn."""
        ...

    def submit(self, task: Task) -> None:
        """Add a task; tasks begin in order."""
        ...

    def collect(self) -> list[Done]:
        """Wait, at most LONGEST_WAIT, and return results."""
        ...

    def withdraw(self) -> list[Task]:
        """Remove and return the tasks that have not begun."""
        ...

    def close(self) -> None:
        """End the threads; those with an attempt in progress end after it."""
        ...


class InTurn(Generic[Task, Done]):
    """Executor that runs one task at each `collect`, in the courier's own thread."""

    def __init__(self, run: Callable[[Task], Done]) -> None:
        self._run = run
        self._tasks: deque[Task] = deque()

    @property
    def busy(self) -> int:
        """Number of tasks that were not run."""
        return len(self._tasks)

    def submit(self, task: Task) -> None:
        """Add a task."""
        self._tasks.append(task)

    def collect(self) -> list[Done]:
        """Run the next task and return its result."""
        return [self._run(self._tasks.popleft())] if self._tasks else []

    def withdraw(self) -> list[Task]:
        """Remove and return all tasks."""
        tasks, self._tasks = list(self._tasks), deque()
        return tasks

    def close(self) -> None:
        """Do nothing: there are no threads."""


class AtOnce(Generic[Task, Done]):
    """Executor with at most `limit` threads, started when needed. `run` must not raise.

    The threads are daemons, so that an attempt that hangs cannot keep the process alive.
    """

    def __init__(self, run: Callable[[Task], Done], limit: int, name: str) -> None:
        self._run = run
        self._limit = limit
        self._name = name
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0

    @property
    def busy(self) -> int:
        """Number of tasks that were submitted and neither collected nor withdrawn."""
        return self._busy

    def submit(self, task: Task) -> None:
        """Add a task, and start a thread if all are busy."""
        self._busy += 1
        self._tasks.put(task)
        if self._threads < min(self._busy, self._limit):
            self._threads += 1
            threading.Thread(target=self._work, name=f"sender {self._name}", daemon=True).start()

    def collect(self) -> list[Done]:
        """Wait for a result, then briefly for more, and return them."""
        done: list[Done] = []
        wanted = max(1, min(self._busy, self._limit) // 2)
        until = time.monotonic() + LONGEST_WAIT
        while len(done) < wanted:
            try:
                done.append(self._done.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
            if len(done) == 1:
                until = time.monotonic() + GATHER
        self._busy -= len(done)
        return done

    def withdraw(self) -> list[Task]:
        """Remove and return the tasks that have not begun."""
        tasks: list[Task] = []
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                self._busy -= len(tasks)
                return tasks
            if task is not None:
                tasks.append(task)

    def close(self) -> None:
        """Tell every thread to end."""
        for _ in range(self._threads):
            self._tasks.put(None)
        self._threads = 0

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._done.put(self._run(task))
