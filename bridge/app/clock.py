"""The present instant, for everything that is put together in app/."""

from __future__ import annotations

import time

from bridge.domain.times import Timestamp


def now() -> Timestamp:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
