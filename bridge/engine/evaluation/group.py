"""Evaluator of a rule group: its rules, the expected models of its signals, and its last slot."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain import alert
from bridge.domain.alert import AlertRow
from bridge.domain.batch import DISCOVER, EventBatch
from bridge.domain.model import ModelKey
from bridge.domain.rule import Group, SignalQuery
from bridge.domain.times import MINUTE, Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.expected_models import ExpectedModelsState
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports import Sighting

REPLACED_AFTER: Duration = 5 * MINUTE
Rows = NDArray[np.int64]


@dataclass(slots=True)
class GroupEvaluator:
    """Rule group with its state.

    expected_models: expected models of every signal that a strategy evaluates, by signal.
    evaluations: the rules' evaluations of the last committed slot, by rule.
    last_slot: None = never evaluated.
    queried_until: last slot that was queried, while later ones wait until the source answers; None = none wait.
    seconds: duration of the last evaluation.
    missed: total number of slots that were not evaluated on time.
    """

    group: Group
    runs: list[RuleEvaluator]
    expected_models: dict[str, ExpectedModelsState]
    last_slot: Timestamp | None = None
    seconds: float = 0.0
    missed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    queried_until: Timestamp | None = None

    @property
    def caught_up(self) -> Timestamp | None:
        """Return the slot after which evaluation continues, None = never evaluated."""
        return self.last_slot if self.queried_until is None else self.queried_until

    # ------------------------------------------------------------ a tick

    def begin(self, gap: Duration) -> None:
        """Start a tick on copies of the state; `gap` ms before it were never evaluated."""
        for expected in self.expected_models.values():
            expected.begin()
        for rule in self.runs:
            rule.begin()
            rule.skip(gap)

    def commit(self, evaluations: Mapping[str, Evaluation]) -> None:
        """Make the staged state live, once it is stored. evaluations: of the last slot, by rule."""
        self.evaluations = evaluations
        for rule in self.runs:
            rule.commit()
            rule.forget_series(evaluations.get(rule.rule.name))
        for expected in self.expected_models.values():
            expected.commit()

    def rollback(self) -> None:
        """Discard the staged state."""
        for rule in self.runs:
            rule.rollback()
        for expected in self.expected_models.values():
            expected.rollback()

    def queries(self) -> dict[str, SignalQuery]:
        """Return every query of the group's rules, by name."""
        return {name: query for rule in self.runs for name, query in rule.queries.items()}

    def judges(self, signal: str) -> list[RuleEvaluator]:
        """Return the rules that decide whether a signal is healthy."""
        return [rule for rule in self.runs if not rule.parts and rule.rule.query == signal]

    # ------------------------------------------------------------ expected models

    def first_seen(self, batch: EventBatch) -> Rows:
        """Return when each model was first seen by a batch's signal, (n,), 0 = never."""
        expected = self.expected_models.get(batch.name)
        return np.zeros(len(batch.table), np.int64) if expected is None else expected.staged.first_seen

    def meet(self, batch: EventBatch, slot: Timestamp) -> EventBatch:
        """Record which models the signal reports, and return the batch of those that report a number.

        A response that may be incomplete says nothing about absent models.
        """
        expected = self.expected_models.get(batch.name)
        silent = batch.index[:0]
        if DISCOVER in batch.columns:
            batch, silent = batch.reporting()
        if expected is not None:
            expected.staged.grow(len(batch.table))
            if batch.cause is Cause.NONE:
                expected.staged.see(batch.index, slot)
                expected.staged.discover(silent, slot)
            silent = silent[expected.staged.first_seen[silent] > 0]  # a retired model does not become expected again
        if len(silent):
            for rule in self.runs:
                if batch.name in rule.queries:
                    rule.expect(silent.astype(np.int64))
        return batch

    def departures(self, slot: Timestamp, retire_after: Duration) -> Iterator[tuple[str, RuleEvaluator, Rows, str]]:
        """Drop models that are gone, and yield (signal, rule, rows that leave the rule, reason).

        Reason "replaced": a newer version of the pipeline reports. Reason "retired": missing for `retire_after` ms.
        """
        for name, expected in self.expected_models.items():
            expected.staged.forget(slot, retire_after)
            if not len(expected.staged.overdue(slot, min(REPLACED_AFTER, retire_after))):
                continue
            overdue = expected.staged.overdue(slot, REPLACED_AFTER)
            replaced = [row for row in overdue.tolist() if self._succeeded(expected, row)]
            silent = set(expected.staged.overdue(slot, retire_after).tolist()) - set(replaced)
            for rows, why in ((replaced, "replaced"), (sorted(silent), "retired")):
                gone = np.array(rows, np.int64)
                expected.staged.drop(gone, discovered=DISCOVER in self.queries()[name].exprs)
                if len(gone):
                    for rule in self.runs:
                        if name in rule.queries:
                            yield name, rule, self._unexpected(rule, gone), why

    def version_since(self, model: ModelKey, since: Timestamp) -> str:
        """Return the version of the model's pipeline that a signal first reported after `since`, the last of several.

        "" if there is none.
        """
        if not self.runs:
            return ""
        table = self.runs[0].table
        first_seen = {
            int(expected.staged.first_seen[row]): table.models[row].version
            for expected in self.expected_models.values()
            for row in table.of(model.owner)
            if row < len(expected.staged.first_seen) and expected.staged.first_seen[row] > since
        }
        return first_seen[max(first_seen)] if first_seen else ""

    def _succeeded(self, expected: ExpectedModelsState, row: int) -> bool:
        """Return whether a later version of the same pipeline reports."""
        seen = expected.staged
        others = self.runs[0].table.versions(row)
        return any(
            other < len(seen.first_seen)
            and seen.first_seen[other] > seen.first_seen[row]
            and not seen.missing_since[other]
            for other in others
        )

    def _unexpected(self, rule: RuleEvaluator, gone: Rows) -> Rows:
        """Return the rows that no signal of the rule is expected to report any more."""
        expected_models = [self.expected_models[name].staged for name in rule.queries if name in self.expected_models]
        unexpected = [
            row for row in gone.tolist()
            if not any(row < len(expected.first_seen) and expected.first_seen[row] for expected in expected_models)
        ]  # fmt: skip
        return np.array(unexpected, np.int64)

    # ------------------------------------------------------------ changes to store

    def rows(self) -> list[AlertRow]:
        """Return the alert rows that changed."""
        return [row for rule in self.runs for row in changed_rows(rule)]

    def sightings(self) -> list[Sighting]:
        """Return the expected models that changed."""
        return [
            sighting
            for expected in self.expected_models.values()
            for sighting in expected.staged.changes(
                expected.live, self.group.name, expected.name, self.runs[0].table.models if self.runs else []
            )
        ]


def changed_rows(rule: RuleEvaluator) -> list[AlertRow]:
    """Return the alert rows that differ from the stored ones; a new, inactive model has none."""
    if rule.touched is not None:
        if not rule.touched:
            return []
        touched = np.zeros(len(rule.staged.code), np.bool_)
        touched[np.concatenate(rule.touched)] = True
        which = np.flatnonzero(touched)
        return alert.rows(rule.staged.alerts, which, rule.rule.name, rule.fingerprint, rule.table.models)
    before, after = rule.live.alerts, rule.staged.alerts
    size, grown = len(before.state), len(after.state)
    changed = after.state != np.concatenate([before.state, np.zeros(grown - size, np.int8)])
    for old, new in (
        (before.active_at, after.active_at),
        (before.fired_at, after.fired_at),
        (before.keep_since, after.keep_since),
        (before.recent, after.recent),
    ):
        changed |= new != np.concatenate([old, np.zeros(grown - size, np.int64)])
    which = np.flatnonzero(changed)
    return alert.rows(after, which, rule.rule.name, rule.fingerprint, rule.table.models) if len(which) else []
