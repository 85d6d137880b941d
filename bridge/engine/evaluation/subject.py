"""Subject and observers of one model, as a library: no Prometheus, no store needed.

>>> from bridge import Drift, ModelKey, ThresholdStrategy
>>> requests = []
>>> subject = ModelSubject()
>>> strategy = ThresholdStrategy(max_latency_ms=200, max_drift_p=0.6)
>>> subject.attach(RetrainObserver(ModelKey("shop", "ranking", "7"), strategy, requests.append))
>>> subject.notify(Drift(0, 0.702))
>>> requests[0].reason
'drift 0.702 above 0.6'
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bridge.domain.batch import EventBatch
from bridge.domain.errors import InternalError, StrategyError
from bridge.domain.event import ModelEvent
from bridge.domain.model import ModelKey
from bridge.domain.request import RetrainRequest
from bridge.strategies.base import RetrainStrategy

log = logging.getLogger(__name__)


@runtime_checkable
class EventObserver(Protocol):
    """Observer of single events."""

    def receive_event(self, event: ModelEvent) -> None:
        """Handle one event."""
        ...


@runtime_checkable
class BatchObserver(Protocol):
    """Observer of batches: one signal of all models."""

    def receive_batch(self, batch: EventBatch) -> None:
        """Handle one batch."""
        ...


Observer = EventObserver | BatchObserver


class RetrainObserver:
    """Observer that evaluates one model with one strategy.

    channel: called with each request.
    """

    def __init__(self, model: ModelKey, strategy: RetrainStrategy, channel: Callable[[RetrainRequest], None]) -> None:
        self.model = model
        self._strategy = strategy
        self._channel = channel

    def receive_event(self, event: ModelEvent) -> None:
        """Evaluate one event. Raises StrategyError."""
        try:
            request = self._strategy.analyse(self.model, event)
        except StrategyError:
            raise
        except Exception as error:
            raise InternalError(f"{type(error).__name__} in strategy {self._strategy.name!r}: {error}") from error
        if request is not None:
            self._channel(request)

    def receive_batch(self, batch: EventBatch) -> None:
        """Evaluate this model's sample of a batch, if there is one."""
        row = batch.table.find(self.model)
        if row is not None:
            for position in np.flatnonzero(batch.index == row).tolist():
                self.receive_event(batch.event_at(position))


class ModelSubject:
    """Subject that passes events and batches to its observers; a failing one is logged and does not stop the others.

    failures: number of observer calls that raised.
    on_error: called with (observer, error) for each failure.
    An observer that is attached twice is notified twice, on purpose.
    """

    def __init__(self, on_error: Callable[[Observer, Exception], None] | None = None) -> None:
        self._observers: list[tuple[Observer, bool, bool]] = []
        self._on_error = on_error
        self.failures = 0

    def attach(self, observer: Observer) -> None:
        """Attach an observer; it is notified from now on."""
        # Checked once: isinstance of a Protocol is slow.
        kinds = isinstance(observer, BatchObserver), isinstance(observer, EventObserver)
        self._observers.append((observer, *kinds))

    def notify(self, event: ModelEvent | EventBatch) -> None:
        """Notify every observer, in the order of attachment."""
        batch = isinstance(event, EventBatch)
        for observer, takes_batches, takes_events in self._observers:
            if takes_batches if batch else takes_events:
                try:
                    _notify(observer, event)
                except Exception as error:  # noqa: BLE001 - an observer's failure never stops the others
                    self._failed(observer, error)

    def _failed(self, observer: Observer, error: Exception) -> None:
        self.failures += 1
        expected = isinstance(error, StrategyError)
        log.warning("observer failed", extra={"error": str(error), "kind": type(error).__name__}, exc_info=not expected)
        if self._on_error is not None:
            self._on_error(observer, error)


def _notify(observer: Any, event: ModelEvent | EventBatch) -> None:
    if isinstance(event, EventBatch):
        observer.receive_batch(event)
    else:
        observer.receive_event(event)
