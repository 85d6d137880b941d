"""Slots that are ahead of the server's clock: its future is never queried."""

from __future__ import annotations

import time
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest
import requests
import responses

from bridge.domain.batch import EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from tests.support.fake_prometheus import FakePrometheus

SECOND, OFFSET = 1000, 30_000
QUERY = SignalQuery("drift", EventKind.DRIFT, {"value": "drift"})
NEAR = 60.0  # seconds that a test may take


class Dated(FakePrometheus):
    """Server that sends its time in the Date header."""

    date: str = ""

    def _answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        status, _, body = super()._answer(request)
        return status, ({"Date": self.date} if self.date else {}), body


def queried(mocked: responses.RequestsMock, ahead: float, date: str, questions: int = 2) -> list[float]:
    """Return the queried instants, in seconds after now, for slots at these offsets from now."""
    fake = Dated(lambda expr, at: [])
    fake.date = date
    fake.serve(mocked)
    now = int(time.time() * SECOND)
    slot = now + int(ahead * SECOND)
    with closing(PrometheusSource(PrometheusConfig(url=fake.url), ModelTable(), Path())) as source:
        for _ in range(questions):
            assert source.instant(QUERY, slot, slot - OFFSET).slot == slot
    assert len(fake.asked) == questions
    return [float(parameters["time"]) - now / SECOND for _, parameters in fake.asked]


@pytest.mark.parametrize("ahead", [-1e6, -30, 0, 30, 89])
def test_slots_up_to_a_minute_ahead_are_queried_unchanged(mocked: responses.RequestsMock, ahead: float) -> None:
    """Clock skew is tolerated, whatever the server's time is."""
    for date in ("", "nonsense", formatdate(0), formatdate(time.time())):
        assert queried(mocked, ahead, date) == pytest.approx([ahead - 30] * 2, abs=0.01)


def test_slots_far_ahead_are_queried_at_the_current_time(mocked: responses.RequestsMock) -> None:
    """The query offset is subtracted."""
    for date in ("", formatdate(time.time())):
        found = queried(mocked, 3600, date)
        assert all(-31 <= at < NEAR - 30 for at in found), found


def test_the_later_clock_counts(mocked: responses.RequestsMock) -> None:
    """The local clock is ten minutes slow: the first answer shows that the slots are not ahead of the server."""
    assert queried(mocked, 600, formatdate(time.time() + 600))[1] == pytest.approx(570, abs=0.01)
