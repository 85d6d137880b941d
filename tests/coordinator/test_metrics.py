"""Metrics of the coordinator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.coordinator.metrics import Metrics
from bridge.domain.errors import StoreError
from bridge.domain.request import RequestState
from tests.coordinator.test_answers import RECORD

PREFIX = "retrain_bridge_coordinator_"


class Ledger:
    """Ledger with one running request; broken: it cannot be read."""

    broken = False

    def counts(self) -> dict[RequestState, int]:
        if self.broken:
            raise StoreError("gone")
        return {RequestState.RUNNING: 1}

    def pending_reports(self) -> int:
        return 3


def lines(metrics: Metrics) -> set[str]:
    return {line for line in metrics.render().decode().splitlines() if not line.startswith("#")}


def test_every_state_has_a_series() -> None:
    """A state without a request is 0, so that alerts on it work from the start."""
    found = lines(Metrics(Ledger()))  # type: ignore[arg-type]
    assert f'{PREFIX}requests{{state="running"}} 1.0' in found
    for state in ("accepted", "succeeded", "failed", "cancelled", "lost"):
        assert f'{PREFIX}requests{{state="{state}"}} 0.0' in found
    assert f"{PREFIX}reports_pending 3.0" in found


def test_an_ended_run_is_counted_with_its_duration() -> None:
    metrics = Metrics(Ledger())  # type: ignore[arg-type]
    ended = replace(RECORD, state=RequestState.FAILED, ended_at=RECORD.started_at + 90_000)
    metrics.run_ended(ended)
    found = lines(metrics)
    assert f'{PREFIX}runs_total{{state="failed"}} 1.0' in found
    assert f"{PREFIX}run_duration_seconds_sum 90.0" in found
    assert f'{PREFIX}run_duration_seconds_bucket{{le="60.0"}} 0.0' in found
    assert f'{PREFIX}run_duration_seconds_bucket{{le="300.0"}} 1.0' in found


def test_two_coordinators_have_metrics_of_their_own() -> None:
    first, second = Metrics(Ledger()), Metrics(Ledger())  # type: ignore[arg-type]
    first.ignored.labels("resolved").inc()
    assert [any("ignored_alerts_total{" in line for line in lines(one)) for one in (first, second)] == [True, False]


def test_a_ledger_that_cannot_be_read_fails_the_scrape() -> None:
    """Instead of counts that would look right."""
    ledger = Ledger()
    metrics = Metrics(ledger)  # type: ignore[arg-type]
    ledger.broken = True
    with pytest.raises(StoreError):
        metrics.render()
