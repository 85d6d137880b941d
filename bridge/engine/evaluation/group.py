"""A rule group at work: its rules, the models that its signals are expected to report, and its place in time."""

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
Places = NDArray[np.int64]


@dataclass(slots=True)
class GroupEvaluator:
    """A group at work. last_slot None: never evaluated. missed: slots that were not evaluated on time, ever.

    rosters: the expected models of every signal that a strategy judges.
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
        """From now on changes go to copies; `gap` ms were never evaluated."""
        for roster in self.rosters.values():
            roster.begin()
        for rule in self.runs:
            rule.begin()
            rule.skip(gap)

    def commit(self) -> None:
        """What changed is stored."""
        for rule in self.runs:
            rule.commit()
            rule.forget_series()
        for roster in self.rosters.values():
            roster.commit()

    def rollback(self) -> None:
        """What changed could not be stored: as if it had not been."""
        for rule in self.runs:
            rule.rollback()
        for roster in self.rosters.values():
            roster.rollback()

    def queries(self) -> dict[str, SignalQuery]:
        """All that its rules read, by name."""
        return {name: query for rule in self.runs for name, query in rule.queries.items()}

    def judges(self, signal: str) -> list[RuleEvaluator]:
        """The rules that say whether a signal is healthy."""
        return [rule for rule in self.runs if not rule.parts and rule.rule.query == signal]

    def alert_news(self) -> bool:
        """Whether an `alert:` rule resolved in this slot."""
        telling = (rule.evaluation for rule in self.runs if rule.notifies and rule.evaluation is not None)
        return any(len(found.moves.resolved) for found in telling)

    # ------------------------------------------------------------ expected models

    def meet(self, batch: EventBatch, slot: Timestamp) -> EventBatch:
        """Remember which models the signal reports; an answer that may not be whole says nothing of the absent."""
        roster = self.rosters.get(batch.name)
        silent = batch.index[:0]
        if DISCOVER in batch.columns:
            batch, silent = batch.reporting()
        if roster is not None:
            roster.staged.grow(len(batch.table))
            if batch.cause is Cause.NONE:
                roster.staged.see(batch.index, slot)
                roster.staged.discover(silent, slot)
            silent = silent[roster.staged.first_seen[silent] > 0]  # one that is gone for good is not expected anew
        for rule in self.runs if len(silent) else ():
            if batch.name in rule.queries:
                rule.expect(silent.astype(np.int64))
        return batch

    def departures(self, slot: Timestamp, retire_after: Duration) -> Iterator[tuple[str, RuleEvaluator, Places, str]]:
        """Models that are gone: replaced by a newer version of their pipeline, or silent for too long.

        Signal, rule, model slots that leave the rule, and the word for it; they are dropped from the rosters.
        """
        for name, roster in self.rosters.items():
            overdue = roster.staged.overdue(slot, REPLACED_AFTER)
            if not len(overdue):
                continue
            replaced = [place for place in overdue.tolist() if self._succeeded(roster, place)]
            silent = set(roster.staged.overdue(slot, retire_after).tolist()) - set(replaced)
            for places, why in ((replaced, "replaced"), (sorted(silent), "retired")):
                gone = np.array(places, np.int64)
                roster.staged.drop(gone)
                for rule in self.runs if len(gone) else ():
                    if name in rule.queries:
                        yield name, rule, self._unexpected(rule, gone), why

    def _succeeded(self, roster: ExpectedModelsState, place: int) -> bool:
        """Whether a version of the same pipeline came later and reports."""
        seen = roster.staged
        others = self.runs[0].table.versions(place)
        return any(
            other < len(seen.first_seen)
            and seen.first_seen[other] > seen.first_seen[place]
            and not seen.missing_since[other]
            for other in others
        )

    def _unexpected(self, rule: RuleEvaluator, gone: Places) -> Places:
        """Those of the models that none of the rule's signals is expected to report any more."""
        rosters = [self.rosters[name].staged for name in rule.queries if name in self.rosters]
        left = [
            slot for slot in gone.tolist()
            if not any(slot < len(roster.first_seen) and roster.first_seen[slot] for roster in rosters)
        ]  # fmt: skip
        return np.array(left, np.int64)

    # ------------------------------------------------------------ what is stored of it

    def rows(self) -> list[AlertRow]:
        """Life-cycle rows that changed."""
        return [row for rule in self.runs for row in changed_rows(rule)]

    def sightings(self) -> list[Sighting]:
        """Expected models that changed."""
        return [
            sighting
            for roster in self.rosters.values()
            for sighting in roster.staged.changes(
                roster.live, self.group.name, roster.name, self.runs[0].table.models if self.runs else []
            )
        ]


def changed_rows(rule: RuleEvaluator) -> list[AlertRow]:
    """Rows that differ from what is stored; a model that is new and inactive has none."""
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
