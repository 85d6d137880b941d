"""Waiting times of retries, and rate limits."""

from __future__ import annotations

import random

import pytest

from bridge.engine.delivery.backoff import TokenBucket, full_jitter
from bridge.ports import RateLimit
from tests.support.notifications import T0


class _Highest(random.Random):
    def randint(self, a: int, b: int) -> int:
        return b


@pytest.mark.parametrize(
    ("attempt", "ceiling"),
    [(0, 5_000), (1, 5_000), (2, 10_000), (3, 20_000), (8, 640_000), (9, 900_000), (10_000, 900_000)],
)
def test_the_ceiling_doubles_from_base_to_cap(attempt: int, ceiling: int) -> None:
    """5 s, 10 s, 20 s, ... and never above 15 minutes, at any attempt."""
    assert full_jitter(attempt, 5_000, 900_000, _Highest()) == ceiling


def test_waits_are_spread_from_zero_to_the_ceiling() -> None:
    """Full jitter: senders that failed together do not retry together."""
    rng = random.Random(7)
    waits = [full_jitter(3, 5_000, 900_000, rng) for _ in range(2_000)]
    assert min(waits) < 500
    assert max(waits) > 19_500
    assert 9_000 < sum(waits) / len(waits) < 11_000


def test_no_rate_is_no_limit() -> None:
    """A destination without `rate_limit` never waits."""
    bucket = TokenBucket(None)
    for _ in range(1_000):
        bucket.take()
    assert bucket.wait(T0) == 0


def test_a_burst_is_allowed_and_then_refilled_evenly() -> None:
    """2 requests per second: two at once, the third half a second later."""
    bucket = TokenBucket(RateLimit(2, 1_000))
    assert bucket.wait(T0) == 0
    bucket.take()
    bucket.take()
    wait = bucket.wait(T0)
    assert 500 <= wait <= 501
    assert bucket.wait(T0 + wait) == 0


def test_unused_tokens_do_not_pile_up() -> None:
    """An idle hour earns one burst, not an hour's worth of attempts."""
    bucket = TokenBucket(RateLimit(2, 1_000))
    bucket.wait(T0)
    bucket.wait(T0 + 3_600_000)
    bucket.take()
    bucket.take()
    assert bucket.wait(T0 + 3_600_000) > 0


def test_a_clock_that_is_set_back_does_not_lock_the_destination() -> None:
    """After the clock jumped back an hour the next token still comes within `per`."""
    bucket = TokenBucket(RateLimit(1, 1_000))
    bucket.wait(T0)
    bucket.take()
    assert 1_000 <= bucket.wait(T0 - 3_600_000) <= 1_001
    assert bucket.wait(T0 - 3_600_000 + 1_001) == 0
