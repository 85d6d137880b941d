"""Token bucket that limits all requests of the server, as exporter-toolkit's `rate_limit`."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Bucket of `burst` tokens; one comes back every `interval` seconds, 0 = no limit. now: returns seconds."""

    def __init__(self, interval: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._burst = burst
        self._now = now
        self._tokens, self._at = float(burst), now()

    def wait(self) -> float:
        """Take a token and return 0, or the seconds until there will be one."""
        if not self._interval:
            return 0.0
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._at) / self._interval)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) * self._interval
        self._tokens -= 1
        return 0.0
