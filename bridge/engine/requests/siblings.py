"""Siblings of models: which label values they have in common, and how many of them are unhealthy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.request import MANUAL, HoldReason, RequestRecord
from bridge.domain.rule import SharedCauses
from bridge.domain.shared_cause import UNKNOWN, Ints, SharedCause, Siblings
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.answers import Answer
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.requests.episodes import EpisodeIndex

PROJECT = "project"  # read from the model, whatever the series label is called
_labels = msgspec.json.Decoder(dict[str, str])


class Placement:
    """Values of the configured labels of every model, as its series showed them last.

    labels: names of the labels.
    """

    def __init__(self, labels: Sequence[str], table: ModelTable) -> None:
        self.labels = tuple(labels)
        self._table = table
        self._values: dict[str, Ints] = {label: np.zeros(0, np.int64) for label in labels}
        self._numbers: dict[str, dict[str, int]] = {label: {} for label in labels}
        self._names: dict[str, list[str]] = {label: [] for label in labels}
        self._last: dict[tuple[str, str], tuple[Sequence[bytes], dict[int, bytes]]] = {}
        self._pipelines = np.zeros(0, np.int64)
        self._pipeline_numbers: dict[str, int] = {}

    def note(self, group: str, answers: Mapping[str, Answer]) -> None:
        """Record the label sets of a slot's answers; an answer with the same label sets as before costs nothing."""
        if not self.labels:
            return
        for name, answer in answers.items():
            if isinstance(answer, EventBatch) and len(answer.series) == len(answer.index):
                self._note((group, name), answer)

    def _note(self, key: tuple[str, str], batch: EventBatch) -> None:
        last, texts = self._last.get(key, ((), {}))
        if batch.series is last:
            return
        self._grow()
        for row, text in zip(batch.index.tolist(), batch.series, strict=True):
            if texts.get(row) != text:
                texts[row] = text
                self._place(row, _labels.decode(text))
        self._last[key] = batch.series, texts

    def _place(self, row: int, series: Mapping[str, str]) -> None:
        for label in self.labels:
            value = series.get(label, "") if label != PROJECT else ""
            if value:
                self._values[label][row] = self._number(label, value)

    def _number(self, label: str, value: str) -> int:
        numbers = self._numbers[label]
        if value not in numbers:
            numbers[value] = len(numbers)
            self._names[label].append(value)
        return numbers[value]

    def _grow(self) -> None:
        """Give new models a row: their pipeline and project are known at once."""
        size, known = len(self._table), len(self._pipelines)
        if size == known:
            return
        models = self._table.models[known:size]
        for label, column in self._values.items():
            more = np.full(size - known, UNKNOWN, np.int64)
            if label == PROJECT:
                more[:] = [self._number(label, model.project) for model in models]
            self._values[label] = np.concatenate([column, more])
        numbers = self._pipeline_numbers
        new = [numbers.setdefault(str(model.owner), len(numbers)) for model in models]
        self._pipelines = np.concatenate([self._pipelines, np.array(new, np.int64)])

    def siblings(self, settings: SharedCauses, runs: Iterable[RuleEvaluator]) -> Siblings:
        """Return the present health of every model by the values of its labels."""
        self._grow()
        size = len(self._pipelines)
        onsets, seen = dict[str, Ints](), np.zeros(size, np.bool_)
        for run in runs:
            if run.rule.requests_retraining:
                columns, onset = run.staged, onsets.setdefault(_kind(run), np.zeros(size, np.int64))
                rows = min(size, len(columns.known))
                active = np.where(columns.alerts.state[:rows] != 0, columns.alerts.active_at[:rows], 0)
                np.maximum(onset[:rows], active, out=onset[:rows])
                seen[:rows] |= columns.known[:rows]
        names = list(self._pipeline_numbers)
        return Siblings(settings, onsets, seen, self._pipelines, self._values, self._names, names)


def _kind(run: RuleEvaluator) -> str:
    """Return what a rule looks at: the event of its signal, for custom signals their name."""
    query = run.query
    return query.name if query.event is EventKind.CUSTOM else query.event.value


@dataclass(frozen=True, slots=True)
class Weighing:
    """Result of weighing a request against the siblings of its model.

    wait_until: until when its siblings may still follow, 0 = long enough.
    cause: the shared cause that holds it, None = the breach is the model's own.
    until: when it is released because the siblings recovered, 0 = they have not.
    """

    wait_until: Timestamp = 0
    cause: SharedCause | None = None
    until: Timestamp = 0


_OWN = Weighing()


@dataclass(slots=True)
class Weigher:
    """Weighing of requests within one slot.

    settings: None = nothing is weighed.
    runs: returns the rules of all groups.
    """

    settings: SharedCauses | None
    placement: Placement
    runs: Callable[[], Iterable[RuleEvaluator]]
    table: ModelTable
    index: EpisodeIndex
    _siblings: Siblings | None = None
    _active: set[tuple[str, str]] = field(default_factory=set)

    def weigh(self, record: RequestRecord, slot: Timestamp) -> Weighing:
        """Return whether a request is held because of its model's siblings."""
        row = self.table.find(record.request.model)
        if self.settings is None or row is None or not record.state.waiting or record.request.rule == MANUAL:
            return _OWN
        siblings = self._snapshot()
        held = record.shared_cause if record.hold is HoldReason.NOT_THE_MODEL else None
        if held is not None and siblings.recovered(held, row):
            until = record.hold_until or slot + self.settings.window
            return Weighing(0, held, until) if until > slot else _OWN
        if held is not None and (refined := siblings.refined(held, row)) is not None:
            return Weighing(cause=refined)
        cause = siblings.weigh(row, self._active)
        if cause is not None:
            return Weighing(cause=cause)
        onset = int(siblings.onset[row]) if row < len(siblings.onset) else 0
        if onset and siblings.has_siblings(row) and onset + self.settings.wait > slot:
            return Weighing(onset + self.settings.wait)
        return _OWN

    def _snapshot(self) -> Siblings:
        """Return the siblings at this slot, and find the shared causes that are still present."""
        if self._siblings is None and self.settings is not None:
            self._siblings = self.placement.siblings(self.settings, self.runs())
            self._active = {cause.key for cause in present_causes(self.index) if cause is not None}
        if self._siblings is None:
            raise RuntimeError("nothing is weighed without settings")
        return self._siblings


def present_causes(index: EpisodeIndex) -> list[SharedCause]:
    """Return the shared causes whose siblings have not recovered, one for each label and value: the largest."""
    found: dict[tuple[str, str], SharedCause] = {}
    for model in index.waiting:
        record = index.requests.get(index.current.get(model, ""))
        if record is None or record.hold is not HoldReason.NOT_THE_MODEL or record.hold_until:
            continue
        cause = record.shared_cause
        if cause is not None and (cause.key not in found or cause.breached > found[cause.key].breached):
            found[cause.key] = cause
    return [found[key] for key in sorted(found)]
