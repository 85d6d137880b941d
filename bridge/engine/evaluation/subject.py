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
    """Is told of single events."""

    def receive_event(self, event: ModelEvent) -> None: ...


@runtime_checkable
class BatchObserver(Protocol):
    """Is told of batches: one signal of all models."""

    def receive_batch(self, batch: EventBatch) -> None: ...


Observer = EventObserver | BatchObserver


class RetrainObserver:
    """Watches one model with one strategy; requests go to `channel`."""

    def __init__(self, model: ModelKey, strategy: RetrainStrategy, channel: Callable[[RetrainRequest], None]) -> None:
        self.model = model
        self._strategy = strategy
        self._channel = channel

    def receive_event(self, event: ModelEvent) -> None:
        """Judge one event; StrategyError when the strategy could not."""
        try:
            request = self._strategy.analyse(self.model, event)
        except StrategyError:
            raise
        except Exception as error:
            raise InternalError(f"{type(error).__name__} in strategy {self._strategy.name!r}: {error}") from error
        if request is not None:
            self._channel(request)

    def receive_batch(self, batch: EventBatch) -> None:
        """Judge this model's sample of a batch, if it holds one."""
        slot = batch.table.find(self.model)
        for position in np.flatnonzero(batch.index == slot).tolist() if slot is not None else ():
            self.receive_event(batch.event_at(position))


class ModelSubject:
    """Hands events and batches to every attached observer; one that fails is logged and counted, the others go on.

    failures: how many calls of an observer raised. on_error: told of each (observer, error). `attach` does not look
    for duplicates, on purpose: an observer attached twice is told twice.
    """

    def __init__(self, on_error: Callable[[Observer, Exception], None] | None = None) -> None:
        self._observers: list[tuple[Observer, bool, bool]] = []
        self._on_error = on_error
        self.failures = 0

    def attach(self, observer: Observer) -> None:
        """Tell `observer` of everything from now on."""
        takes = isinstance(observer, BatchObserver), isinstance(observer, EventObserver)  # slow to find out
        self._observers.append((observer, *takes))

    def notify(self, event: ModelEvent | EventBatch) -> None:
        """Tell every observer, in the order in which they were attached."""
        batch = isinstance(event, EventBatch)
        for observer, takes_batches, takes_events in self._observers:
            if takes_batches if batch else takes_events:
                try:
                    _tell(observer, event)
                except Exception as error:  # noqa: BLE001 - an observer's failure never stops the others
                    self._failed(observer, error)

    def _failed(self, observer: Observer, error: Exception) -> None:
        self.failures += 1
        known = isinstance(error, StrategyError)
        log.warning("observer failed", extra={"error": str(error), "kind": type(error).__name__}, exc_info=not known)
        if self._on_error is not None:
            self._on_error(observer, error)


def _tell(observer: Any, event: ModelEvent | EventBatch) -> None:
    if isinstance(event, EventBatch):
        observer.receive_batch(event)
    else:
        observer.receive_event(event)
