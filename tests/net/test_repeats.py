"""Repeated log lines are counted."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from bridge.net.repeats import ALLOWED, PERIOD, CountingHandler


class Log:
    """Handler that writes to a string, fed with records of given times."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = CountingHandler()
        self.handler.setStream(self.stream)
        self.handler.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def say(self, text: str, at: float = 0.0, name: str = "bridge.x", **fields: object) -> None:
        record = logging.makeLogRecord({"name": name, "msg": text, "levelname": "WARNING", **fields})
        record.created = at
        self.handler.handle(record)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.handler.close()


def test_a_million_equal_lines_are_some_lines_and_their_number(log: Log) -> None:
    """The count is written with the first line after the period."""
    for second in range(50):
        for _ in range(20):
            log.say("no descriptors", float(second))
    log.say("evaluated", PERIOD + 1)
    expected = ["bridge.x no descriptors"] * ALLOWED
    assert log.lines == [*expected, f"bridge.x no descriptors (repeated {1000 - ALLOWED} times)", "bridge.x evaluated"]


def test_the_number_is_written_at_the_end_too(log: Log) -> None:
    for _ in range(ALLOWED + 1):
        log.say("no descriptors")
    log.handler.close()
    assert log.lines[-1] == "bridge.x no descriptors (repeated 1 times)"


def test_after_the_period_a_line_is_written_again(log: Log) -> None:
    for at in (0.0, PERIOD + 1):
        for _ in range(ALLOWED):
            log.say("query failed", at)
    assert log.lines == ["bridge.x query failed"] * (2 * ALLOWED)


def test_own_lines_that_differ_in_a_field_are_all_written(log: Log) -> None:
    """A thousand different deliveries are not repeats."""
    for number in range(3000):
        log.say("delivered", request_id=number)
    assert log.lines == ["bridge.x delivered"] * 3000


def test_lines_of_a_library_are_equal_when_only_numbers_differ(log: Log) -> None:
    """asyncio's messages contain a socket, a task or an address."""
    for number in range(100):
        log.say(f"socket.accept() out of system resource\nsocket: fd={number} 0x{number:08x}", name="asyncio")
    assert len([line for line in log.lines if line.startswith("asyncio")]) == ALLOWED


def test_what_is_remembered_is_bounded(log: Log) -> None:
    for number in range(5000):
        log.say(str(number))
    assert len(log.handler._lines) <= 1000
