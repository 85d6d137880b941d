"""The story the project began with, told with the library alone: no Prometheus, no store."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bridge.domain.event import Custom, Drift, InferenceError, Latency, ModelEvent
from bridge.domain.model import ModelKey
from bridge.domain.request import RetrainRequest
from bridge.engine.evaluation.subject import ModelSubject, RetrainObserver
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.threshold import Limits, ThresholdStrategy

RANKING = ModelKey("shop", "ranking", "7")
SEARCH = ModelKey("shop", "search", "2")


def observed(strategy: RetrainStrategy, model: ModelKey = RANKING) -> tuple[ModelSubject, list[RetrainRequest]]:
    requests: list[RetrainRequest] = []
    subject = ModelSubject()
    subject.attach(RetrainObserver(model, strategy, requests.append))
    return subject, requests


def test_a_latency_within_its_limit_requests_nothing() -> None:
    """Limits 200 ms and 0.6: 123 ms is no reason."""
    subject, requests = observed(ThresholdStrategy(max_latency_ms=200, max_drift_p=0.6))
    subject.notify(Latency(0, 123.0))
    assert requests == []


def test_a_drift_above_its_limit_requests_once_for_that_model_and_names_drift() -> None:
    """Drift 0.702 above 0.6 gives one request, for the observed model, whose reason names drift."""
    subject, requests = observed(ThresholdStrategy(max_latency_ms=200, max_drift_p=0.6))
    subject.notify(Drift(1_700_000_000_000, 0.702))
    assert [(request.model, request.reason, request.triggered_at) for request in requests] == [
        (RANKING, "drift 0.702 above 0.6", 1_700_000_000_000)
    ]


def test_a_value_that_equals_its_limit_is_healthy() -> None:
    """`max` is the last healthy value."""
    subject, requests = observed(ThresholdStrategy(max_latency_ms=200, max_drift_p=0.6))
    subject.notify(Drift(0, 0.6))
    subject.notify(Latency(0, 200.0))
    assert requests == []


def test_error_rates_and_custom_values_have_limits_too() -> None:
    """An error rate above its limit and a custom value below its minimum each ask."""
    strategy = ThresholdStrategy(max_error_rate=0.05, custom={"accuracy": Limits(min=0.92)})
    subject, requests = observed(strategy)
    subject.notify(InferenceError(0, "timeouts", 0.2))
    subject.notify(Custom(1, "accuracy", {"value": 0.9}))
    subject.notify(Custom(2, "accuracy", {"value": 0.93}))
    subject.notify(Custom(3, "unlimited", {"value": 10.0}))
    assert [request.reason for request in requests] == ["error rate 0.2 above 0.05", "accuracy 0.9 below 0.92"]


class Raises(RetrainStrategy):
    """Fails in its own code."""

    name = "raises"

    def analyse(self, model: ModelKey, event: ModelEvent) -> RetrainRequest | None:
        raise ZeroDivisionError("broken")


def test_a_strategy_that_raises_is_counted_and_logged_and_the_other_observers_still_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One broken strategy costs its own observer only."""
    requests: list[RetrainRequest] = []
    failed: list[str] = []
    subject = ModelSubject(lambda observer, error: failed.append(f"{type(error).__name__}: {error}"))
    subject.attach(RetrainObserver(RANKING, Raises(), requests.append))
    subject.attach(RetrainObserver(SEARCH, ThresholdStrategy(max_drift_p=0.6), requests.append))
    subject.notify(Drift(0, 0.9))
    assert [request.model for request in requests] == [SEARCH]
    assert subject.failures == 1
    assert failed == ["InternalError: ZeroDivisionError in strategy 'raises': broken"]
    assert [record.message for record in caplog.records] == ["observer failed"]


def test_an_unknown_event_variant_does_not_break_observers() -> None:
    """A variant that this version does not know is counted, and what follows is judged as ever."""

    @dataclass(frozen=True, slots=True)
    class Fairness(ModelEvent):
        gap: float

    subject, requests = observed(ThresholdStrategy(max_drift_p=0.6))
    subject.notify(Fairness(0, 0.3))
    subject.notify(Drift(1, 0.8))
    assert [request.reason for request in requests] == ["drift 0.8 above 0.6"]
    assert subject.failures == 1


def test_an_observer_that_is_attached_twice_is_notified_twice() -> None:
    """`attach` does not look for duplicates, on purpose."""
    requests: list[RetrainRequest] = []
    observer = RetrainObserver(RANKING, ThresholdStrategy(max_drift_p=0.6), requests.append)
    subject = ModelSubject()
    subject.attach(observer)
    subject.attach(observer)
    subject.notify(Drift(0, 0.7))
    assert len(requests) == 2
