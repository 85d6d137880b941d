"""Attempts of a courier, and the log of their outcomes."""

from __future__ import annotations

import logging

import pytest

from bridge.engine.delivery.attempt import Attempt, DeliveryLog, Message
from bridge.ports import Claim, Delivery, Result
from tests.support.notifications import T0, firing, numbered

HOOK = "team/webhook/0"


def attempt(delivery: Delivery | None, numbers: tuple[int, ...] = (0,)) -> Attempt:
    claims = [Claim(number, HOOK, firing(numbered(number)), "w", 1, T0) for number in numbers]
    made = Attempt(Message(claims, T0 + 1000), delivery, T0, T0 + 5, 0)
    made.outcome = delivery or made.outcome
    return made


@pytest.mark.parametrize(
    ("result", "failed", "over"),
    [
        (Result.DELIVERED, False, True),
        (Result.DEAD, False, True),
        (Result.RETRY, True, False),
        (Result.DENIED, True, False),
        (Result.HELD, False, False),
    ],
)
def test_what_an_outcome_means(result: Result, failed: bool, over: bool) -> None:
    """failed: of the destination, which may open its breaker; a dead delivery is wrong by itself."""
    made = attempt(Delivery(result))
    assert (made.failed, made.over) == (failed, over)


def test_an_attempt_that_was_not_begun_is_no_failure() -> None:
    made = attempt(None, (1, 2))
    assert (made.failed, made.over) == (False, False)
    assert made.ids == [numbered(1).id, numbered(2).id]


def test_a_failure_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    """Once while a receiver is down; again after it worked, or with another error."""
    caplog.set_level(logging.INFO)
    log = DeliveryLog(HOOK)
    down, denied = Delivery(Result.RETRY, "http_5xx", 503), Delivery(Result.DENIED, "http_4xx", 401)
    for delivery in (down, down, denied, denied, Delivery(Result.DELIVERED), down):
        log.attempt(attempt(delivery), stored=True)
    assert [(item.levelname, item.message) for item in caplog.records] == [
        ("WARNING", "delivery failed, will be retried"),
        ("ERROR", "delivery failed, will be retried"),
        ("INFO", "delivered"),
        ("WARNING", "delivery failed, will be retried"),
    ]


def test_every_dead_delivery_is_an_error_with_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    """One line for each request of a bundle."""
    dead = attempt(Delivery(Result.DEAD, "http_4xx", 400, "no such field"), (1, 2))
    DeliveryLog(HOOK).attempt(dead, stored=True)
    assert [vars(item)["request_id"] for item in caplog.records] == dead.ids
    assert {(item.levelname, vars(item)["answer"]) for item in caplog.records} == {("ERROR", "no such field")}


def test_an_outcome_that_was_not_stored_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    DeliveryLog(HOOK).attempt(attempt(Delivery(Result.DELIVERED)), stored=False)
    assert [item.message for item in caplog.records] == ["delivery was settled by another worker"]
