"""Evaluator of a rule group: its rules, the expected models of its signals, and its last slot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain import alert
from bridge.domain.alert import AlertRow
from bridge.domain.batch import DISCOVER, EventBatch
from bridge.domain.rule import Group, SignalQuery
from bridge.domain.times import MINUTE, Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.expected_models import ExpectedModelsState
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.subject import ModelSubject
from bridge.ports import Sighting

REPLACED_AFTER: Duration = 5 * MINUTE
Rows = NDArray[np.int64]


@dataclass(slots=True)
class GroupEvaluator:
    """Rule group with its state.

    rosters: expected models of every signal that a strategy evaluates, by signal.
    last_slot: None = never evaluated.
    seconds: duration of the last evaluation.
    missed: total number of slots that were not evaluated on time.
    """

    group: Group
    runs: list[RuleEvaluator]
    subject: ModelSubject
    rosters: dict[str, ExpectedModelsState]
    last_slot: Timestamp | None = None
    seconds: float = 0.0
    missed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    # ------------------------------------------------------------ a tick

    def begin(self, gap: Duration) -> None:
        """Start a tick on copies of the state; `gap` ms before it were never evaluated."""
        for roster in self.rosters.values():
            roster.begin()
        for rule in self.runs:
            rule.begin()
            rule.skip(gap)

    def commit(self) -> None:
        """Make the staged state live, once it is stored."""
        for rule in self.runs:
            rule.commit()
            rule.forget_series()
        for roster in self.rosters.values():
            roster.commit()

    def rollback(self) -> None:
        """Discard the staged state."""
        for rule in self.runs:
            rule.rollback()
        for roster in self.rosters.values():
            roster.rollback()

    def queries(self) -> dict[str, SignalQuery]:
        """Return every query of the group's rules, by name."""
        return {name: query for rule in self.runs for name, query in rule.queries.items()}

    def judges(self, signal: str) -> list[RuleEvaluator]:
        """Return the rules that decide whether a signal is healthy."""
        return [rule for rule in self.runs if not rule.parts and rule.rule.query == signal]

    def alert_news(self) -> bool:
        """Return whether an `alert:` rule resolved in this slot."""
        evaluations = (rule.evaluation for rule in self.runs if rule.notifies and rule.evaluation is not None)
        return any(len(evaluation.moves.resolved) for evaluation in evaluations)

    # ------------------------------------------------------------ expected models

    def meet(self, batch: EventBatch, slot: Timestamp) -> EventBatch:
        """Record which models the signal reports, and return the batch of those that report a number.

        A response that may be incomplete says nothing about absent models.
        """
        roster = self.rosters.get(batch.name)
        silent = batch.index[:0]
        if DISCOVER in batch.columns:
            batch, silent = batch.reporting()
        if roster is not None:
            roster.staged.grow(len(batch.table))
            if batch.cause is Cause.NONE:
                roster.staged.see(batch.index, slot)
                roster.staged.discover(silent, slot)
            silent = silent[roster.staged.first_seen[silent] > 0]  # a retired model does not become expected again
        if len(silent):
            for rule in self.runs:
                if batch.name in rule.queries:
                    rule.expect(silent.astype(np.int64))
        return batch

    def departures(self, slot: Timestamp, retire_after: Duration) -> Iterator[tuple[str, RuleEvaluator, Rows, str]]:
        """Drop models that are gone, and yield (signal, rule, rows that leave the rule, reason).

        Reason "replaced": a newer version of the pipeline reports. Reason "retired": missing for `retire_after` ms.
        """
        for name, roster in self.rosters.items():
            overdue = roster.staged.overdue(slot, REPLACED_AFTER)
            if not len(overdue):
                continue
            replaced = [row for row in overdue.tolist() if self._succeeded(roster, row)]
            silent = set(roster.staged.overdue(slot, retire_after).tolist()) - set(replaced)
            for rows, why in ((replaced, "replaced"), (sorted(silent), "retired")):
                gone = np.array(rows, np.int64)
                roster.staged.drop(gone)
                if len(gone):
                    for rule in self.runs:
                        if name in rule.queries:
                            yield name, rule, self._unexpected(rule, gone), why

    def _succeeded(self, roster: ExpectedModelsState, row: int) -> bool:
        """Return whether a later version of the same pipeline reports."""
        seen = roster.staged
        others = self.runs[0].table.versions(row)
        return any(
            other < len(seen.first_seen)
            and seen.first_seen[other] > seen.first_seen[row]
            and not seen.missing_since[other]
            for other in others
        )

    def _unexpected(self, rule: RuleEvaluator, gone: Rows) -> Rows:
        """Return the rows that no signal of the rule is expected to report any more."""
        rosters = [self.rosters[name].staged for name in rule.queries if name in self.rosters]
        unexpected = [
            row for row in gone.tolist()
            if not any(row < len(roster.first_seen) and roster.first_seen[row] for roster in rosters)
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
            for roster in self.rosters.values()
            for sighting in roster.staged.changes(
                roster.live, self.group.name, roster.name, self.runs[0].table.models if self.runs else []
            )
        ]


def changed_rows(rule: RuleEvaluator) -> list[AlertRow]:
    """Return the alert rows that differ from the stored ones; a new, inactive model has none."""
    if rule.touched is not None:
        if not rule.touched:
            return []
        which = np.unique(np.concatenate(rule.touched))
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
