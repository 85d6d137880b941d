"""Values of one rule's signal for one model from before the bridge's start, for charts: bounded, and cached briefly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bridge.domain import waits
from bridge.domain.errors import RequestError
from bridge.domain.model import ModelKey
from bridge.domain.rule import Group, ModelLabels, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.engine.engine import Engine
from bridge.ports.history import close

POINTS = 240  # most values of one answer
_AT_ONCE = 2  # queries
_FRESH, _MOST = 60.0, 100  # seconds that an answer is kept, and number of answers


@dataclass(frozen=True, slots=True)
class SignalHistory:
    """Values of a signal, oldest first. value: NaN = none."""

    slots: Sequence[Timestamp]
    value: Sequence[float]


@dataclass(slots=True)
class SignalHistories:
    """Reader of histories. Thread-safe. now: the clock. monotonic: seconds, for the age of what is cached."""

    engine: Engine
    now: Callable[[], Timestamp]
    monotonic: Callable[[], float] = time.monotonic
    _cached: dict[tuple[ModelKey, str, Duration, Timestamp], tuple[float, SignalHistory]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turns: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(_AT_ONCE))

    def read(self, model: ModelKey, rule: str, last: Duration, until: Timestamp = 0) -> SignalHistory:
        """Return the values of the `last` ms before `until` (0 = now), at most POINTS of them, from Prometheus.

        Raises RequestError for an unknown rule and while too many queries run, SourceError when the query fails.
        """
        key = model, rule, last, until
        if (known := self._recent(key)) is not None:
            return known
        if not self._turns.acquire(timeout=waits.CHART_TURN):
            raise RequestError("too many charts are read at once; try again")
        try:
            known = self._recent(key) or self._read(model, rule, last, until)
        finally:
            self._turns.release()
        with self._lock:
            self._cached.pop(key, None)
            while len(self._cached) >= _MOST:
                self._cached.pop(next(iter(self._cached)))
            self._cached[key] = self.monotonic(), known
        return known

    def _recent(self, key: tuple[ModelKey, str, Duration, Timestamp]) -> SignalHistory | None:
        with self._lock:
            at, known = self._cached.get(key, (0.0, None))
        return known if self.monotonic() - at < _FRESH else None

    def _read(self, model: ModelKey, rule: str, last: Duration, until: Timestamp) -> SignalHistory:
        with self.engine.read() as state:
            groups = (item.group for item in state.groups.values() if rule in {run.rule.name for run in item.runs})
            group, run, source, table = next(groups, None), state.rules.get(rule), state.source, state.table
        if group is None or run is None:
            raise RequestError(f"there is no rule {rule!r}")
        slots = grid(group, until or self.now(), last)
        value = np.full(len(slots), np.nan)
        ends = self.monotonic() + waits.CHART
        batches = source.history(of_model(run.query, model), slots, group.offset)
        try:
            for index, batch in enumerate(batches):
                positions = np.flatnonzero(batch.index == (-1 if (row := table.find(model)) is None else row))
                if len(positions):
                    value[index] = batch.values()[positions[0]]
                if self.monotonic() > ends:
                    raise RequestError(f"the query takes longer than {waits.CHART:g} s; choose a shorter period")
        finally:
            close(batches)
        return SignalHistory(slots, value.tolist())


def grid(group: Group, now: Timestamp, last: Duration) -> list[Timestamp]:
    """Return at most POINTS slots of the group up to `now`, at equal distances."""
    step = group.interval * max(1, -(-last // (group.interval * POINTS)))
    end = group.slot_at(now)
    return list(range(end - step * (last // step), end + 1, step))


def of_model(query: SignalQuery, model: ModelKey) -> SignalQuery:
    """Return the query for one model only, so that the answer is small however many models there are."""
    only = _only(query.mapping, model)
    exprs = {name: f"(\n{text}\n) {only}" if only else text for name, text in query.exprs.items()}
    return replace(query, exprs=exprs, limit=0)


def _only(mapping: ModelLabels, model: ModelKey) -> str:
    """Return the PromQL that keeps the series of the model; "" if its labels are constants."""
    parts = zip((mapping.project, mapping.pipeline, mapping.version), model.labels().values(), strict=True)
    labels = {ref.label: value for ref, value in parts if ref.const is None}
    vector = "vector(1)"
    for label, value in labels.items():
        text = json.dumps(value.replace("$", "$$"), ensure_ascii=False)
        vector = f'label_replace({vector}, "{label}", {text}, "", "")'
    return f"and on ({', '.join(labels)}) {vector}" if labels else ""
