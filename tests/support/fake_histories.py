"""Source of earlier values for tests of the web server."""

from __future__ import annotations

import math

from bridge.domain.model import ModelKey
from bridge.engine.api.signal_history import SignalHistory
from tests.support.fake_views import AT


class FakeHistories:
    """History that remembers what was asked, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[object] = []
        self.error = error

    def read(self, model: ModelKey, rule: str, last: int, until: int = 0) -> SignalHistory:
        self.asked.append((model, rule, last, until))
        if self.error is not None:
            raise self.error
        return SignalHistory([AT - 60_000, AT], [math.nan, 0.5])
