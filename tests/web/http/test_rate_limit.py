"""Token bucket of the rate limit."""

from __future__ import annotations

from bridge.web.http.rate_limit import TokenBucket


def test_a_bucket_gains_one_token_per_interval() -> None:
    """Up to its burst; without an interval it never empties."""
    clock = [0.0]
    bucket = TokenBucket(2.0, 2, lambda: clock[0])
    assert [bucket.wait(), bucket.wait(), bucket.wait()] == [0.0, 0.0, 2.0]
    clock[0] = 1.5
    assert bucket.wait() == 0.5
    clock[0] = 100.0
    assert [bucket.wait(), bucket.wait(), bucket.wait()] == [0.0, 0.0, 2.0]
    assert {TokenBucket(0.0, 0).wait() for _ in range(5)} == {0.0}


def test_waiting_takes_no_token() -> None:
    """A refused request does not delay the next one."""
    clock = [0.0]
    bucket = TokenBucket(10.0, 1, lambda: clock[0])
    assert [bucket.wait(), bucket.wait(), bucket.wait()] == [0.0, 10.0, 10.0]
    clock[0] = 10.0
    assert bucket.wait() == 0.0
