"""Subject and observers of the library: one model, one strategy, requests to a channel."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.errors import InternalError
from bridge.domain.event import Drift
from bridge.domain.model import ModelTable
from bridge.domain.request import RetrainRequest
from bridge.engine.evaluation.subject import ModelSubject, RetrainObserver
from bridge.strategies.threshold import ThresholdStrategy
from tests.support.world import A, B

STRATEGY = ThresholdStrategy(max_drift_p=0.6)


class Failing:
    """Observer of events that always raises."""

    def receive_event(self, event: object) -> None:
        raise RuntimeError("broken")


def batch() -> EventBatch:
    table = ModelTable()
    index = np.array([table.row(B), table.row(A)], np.int32)
    return EventBatch("drift", EventKind.DRIFT, 5000, table, index, {"value": np.array([0.1, 0.7])})


def test_a_breach_makes_a_request() -> None:
    """One per breached event; a healthy event makes none."""
    requests: list[RetrainRequest] = []
    subject = ModelSubject()
    subject.attach(RetrainObserver(A, STRATEGY, requests.append))
    for score in (0.5, 0.7):
        subject.notify(Drift(0, score))
    assert [(request.model, request.reason) for request in requests] == [(A, "drift 0.7 above 0.6")]


def test_an_observer_reads_only_its_own_model_of_a_batch() -> None:
    """A is breached, B is not."""
    requests: list[RetrainRequest] = []
    subject = ModelSubject()
    for model in (A, B):
        subject.attach(RetrainObserver(model, STRATEGY, requests.append))
    subject.notify(batch())
    assert [request.model for request in requests] == [A]
    assert requests[0].triggered_at == 5000


def test_a_failing_observer_does_not_stop_the_others() -> None:
    """It is counted, and reported to on_error."""
    requests: list[RetrainRequest] = []
    errors: list[tuple[object, str]] = []
    subject = ModelSubject(lambda observer, error: errors.append((observer, str(error))))
    failing = Failing()
    subject.attach(failing)
    subject.attach(RetrainObserver(A, STRATEGY, requests.append))
    subject.notify(Drift(0, 0.7))
    assert (subject.failures, errors, len(requests)) == (1, [(failing, "broken")], 1)


def test_an_observer_attached_twice_is_notified_twice() -> None:
    """The subject does not look for duplicates."""
    requests: list[RetrainRequest] = []
    subject, observer = ModelSubject(), RetrainObserver(A, STRATEGY, requests.append)
    subject.attach(observer)
    subject.attach(observer)
    subject.notify(Drift(0, 0.7))
    assert len(requests) == 2


def test_an_exception_in_a_strategy_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """InternalError carries the kind of the exception, the strategy and the message."""

    def broken(self: object, model: object, event: object) -> None:
        raise ZeroDivisionError("no samples")

    monkeypatch.setattr(ThresholdStrategy, "analyse", broken)
    with pytest.raises(InternalError, match="ZeroDivisionError in strategy 'threshold': no samples"):
        RetrainObserver(A, STRATEGY, lambda request: None).receive_event(Drift(0, 0.7))
