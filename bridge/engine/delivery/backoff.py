"""Back-off with full jitter, and a token bucket. Time is passed in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from bridge.domain.times import Duration, Timestamp
from bridge.ports import RateLimit

NO_LIMIT = 1 << 30


def full_jitter(attempt: int, base: Duration, cap: Duration, rng: random.Random) -> Duration:
    """Return a random wait from 0 to min(cap, base x 2^(attempt - 1)) ms, which spreads the retries of many senders.

    attempt: counts from 1.
    """
    ceiling = min(cap, base << min(max(attempt, 1) - 1, 40))
    return rng.randint(0, ceiling)


@dataclass(slots=True)
class TokenBucket:
    """Rate limit of one destination, for one thread. rate: None = no limit."""

    rate: RateLimit | None
    _tokens: float = field(init=False, default=0.0)
    _at: Timestamp | None = field(init=False, default=None)

    def wait(self, now: Timestamp) -> Duration:
        """Return the time in ms until one more attempt is allowed, 0 = now."""
        if self.rate is None:
            return 0
        self._refill(self.rate, now)
        missing = 1.0 - self._tokens
        return 0 if missing <= 0 else max(1, round(missing * self.rate.per / self.rate.requests + 0.5))

    def available(self, now: Timestamp) -> int:
        """Return how many attempts are allowed now."""
        if self.rate is None:
            return NO_LIMIT
        self._refill(self.rate, now)
        return int(self._tokens)

    def take(self) -> None:
        """Count one attempt."""
        self.give(-1)

    def give(self, attempts: int) -> None:
        """Take back the count of attempts that were not made."""
        if self.rate is not None:
            self._tokens += attempts

    def _refill(self, rate: RateLimit, now: Timestamp) -> None:
        # A clock that was set back must not block the destination: the gap counts as 0.
        gap = rate.per if self._at is None else max(0, now - self._at)
        self._at = now
        self._tokens = min(float(rate.requests), self._tokens + gap * rate.requests / rate.per)
