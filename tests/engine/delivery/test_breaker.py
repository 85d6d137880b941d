"""Transitions of the circuit breaker."""

from __future__ import annotations

import random

import pytest

from bridge.domain.times import SECOND
from bridge.engine.delivery import breaker as circuit
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.ports import Breaker, Delivery, Result
from tests.support.notifications import T0

DOWN = Delivery(Result.RETRY, "network")


def after(before: Breaker, delivery: Delivery, settings: DeliverySettings | None = None, **changes: bool) -> Breaker:
    return circuit.after(
        before,
        delivery,
        settings or DeliverySettings(),
        random.Random(2),
        started=T0,
        ended=T0 + SECOND,
        **changes,
    )


def test_the_third_failure_opens_it_for_half_a_probe_to_a_whole_one() -> None:
    """Spaced by the starts of attempts, spread so that many bridges do not probe together."""
    assert after(Breaker("a"), DOWN) == Breaker("a", 1)
    assert after(Breaker("a", 1), DOWN) == Breaker("a", 2)
    opened = after(Breaker("a", 2), DOWN)
    assert opened.failures == 3
    assert T0 + 15 * SECOND <= opened.open_until <= T0 + 30 * SECOND


def test_a_failed_probe_keeps_it_open_even_when_more_failures_are_allowed_now() -> None:
    """A reload may raise the threshold: a destination that is down gets no burst for it."""
    assert after(Breaker("a", 3, open_until=T0), DOWN, DeliverySettings(breaker_failures=9)).open_until > T0


def test_an_attempt_that_took_longer_than_the_probe_does_not_open_it_into_the_past() -> None:
    """Open means open, at least until the next millisecond."""
    slow = circuit.after(
        Breaker("a", 5, open_until=T0), DOWN, DeliverySettings(), random.Random(2), started=T0, ended=T0 + 90 * SECOND
    )
    assert slow.open_until == T0 + 90 * SECOND + 1


@pytest.mark.parametrize("result", [Result.DELIVERED, Result.DEAD])
def test_any_proof_of_life_closes_it(result: Result) -> None:
    """Also a refusal: the receiver read it."""
    assert after(Breaker("a", 7, open_until=T0, paused_until=T0), Delivery(result)) == Breaker("a")


def test_a_wait_that_was_requested_is_a_pause_and_no_failure() -> None:
    """503 with Retry-After: 20."""
    asked = Delivery(Result.RETRY, "http_5xx", 503, retry_after=20 * SECOND)
    assert after(Breaker("a", 2), asked) == Breaker("a", paused_until=T0 + 21 * SECOND)


def test_only_the_second_denial_in_a_row_pauses() -> None:
    """After the first one the credential is read again at once."""
    denied = Delivery(Result.DENIED, "unauthorized", 401)
    assert after(Breaker("a", 2), denied) == Breaker("a")
    assert after(Breaker("a"), denied, denied_again=True) == Breaker("a", paused_until=T0 + 31 * SECOND)


@pytest.mark.parametrize(
    ("breaker", "until"),
    [
        (Breaker("a"), 0),
        (Breaker("a", 3, open_until=T0), 0),
        (Breaker("a", 3, open_until=T0 + 1), T0 + 1),
        (Breaker("a", 3, open_until=T0 + 1, paused_until=T0 + 5), T0 + 5),
        (Breaker("a", paused_until=T0), 0),
    ],
)
def test_it_blocks_until_both_opening_and_pause_are_over(breaker: Breaker, until: int) -> None:
    """0: now."""
    assert circuit.blocked_until(breaker, T0) == until
