"""What a start or a reload takes over: state under the same meaning goes on, the rest is to be dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bridge.domain import alert
from bridge.domain.alert import AlertRow
from bridge.domain.model import ModelTable
from bridge.domain.rule import Group
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.expected_models import ExpectedModelsState
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.observer import RuleObserver
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.subject import ModelSubject, Observer
from bridge.engine.state import frozen_labels, strategy_state
from bridge.ports import Sighting, Snapshot, StateChunk

OldRuns = Mapping[tuple[str, str], RuleEvaluator]  # by name and fingerprint
OldGroups = Mapping[str, GroupEvaluator]


@dataclass(slots=True)
class StaleRows:
    """Rows of rules and signals that are gone, as they are written to be deleted: by the next commit."""

    alerts: list[AlertRow] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    chunks: list[StateChunk] = field(default_factory=list)


class Restorer:
    """Builds groups at work from what is stored or runs already. failed: told of an observer that raised."""

    def __init__(self, table: ModelTable, failed: Callable[[Observer, Exception], None]) -> None:
        self._table = table
        self._failed = failed
        self._slots: dict[str, Timestamp] = {}
        self._stored: dict[tuple[str, str], list[AlertRow]] = {}
        self._seen: dict[tuple[str, str], list[Sighting]] = {}
        self._chunks: dict[tuple[str, str], StateChunk] = {}

    def load(self, snapshot: Snapshot) -> None:
        """What is stored."""
        self._slots = dict(snapshot.slots)
        for row in snapshot.alerts:
            self._stored.setdefault((row.rule, row.fingerprint), []).append(row)
        self._chunks = {(chunk.rule, chunk.fingerprint): chunk for chunk in snapshot.state}
        for sighting in snapshot.sightings:
            self._seen.setdefault((sighting.group, sighting.signal), []).append(sighting)

    def groups(self, wanted: Iterable[Group], old: OldGroups) -> dict[str, GroupEvaluator]:
        """The groups at work."""
        old_runs = by_meaning(old)
        return {group.name: self._group_run(group, old.get(group.name), old_runs) for group in wanted}

    def left(self, groups: OldGroups, old: OldGroups) -> StaleRows:
        """What nothing took over; `groups` are those in force now."""
        kept, old_runs = by_meaning(groups), by_meaning(old)
        gone = {key: run for key, run in old_runs.items() if key not in kept}
        return StaleRows(self._left_rows(gone), self._left_sightings(groups, old), self._left_chunks(gone))

    def _left_rows(self, gone: OldRuns) -> list[AlertRow]:
        """As inactive ones."""
        rows = [row for stored in self._stored.values() for row in stored]
        self._stored = {}
        for key, run in gone.items():
            active = np.flatnonzero((run.live.alerts.state != 0) | (run.live.alerts.recent != 0))
            rows += alert.rows(run.live.alerts, active, *key, self._table.models)
        return [replace(row, state=alert.State.INACTIVE, recent=0) for row in rows]

    def _left_chunks(self, gone: OldRuns) -> list[StateChunk]:
        chunks = list(self._chunks.values())
        self._chunks = {}
        for run in gone.values():
            chunks += [StateChunk(name, run.fingerprint, 0, (), b"") for name in run.state_slots]
        return [replace(chunk, models=(), data=b"") for chunk in chunks]

    def _left_sightings(self, groups: OldGroups, old: OldGroups) -> list[Sighting]:
        kept = {(group.group.name, roster.name) for group in groups.values() for roster in group.rosters.values()}
        gone = [sighting for stored in self._seen.values() for sighting in stored]
        self._seen = {}
        for name, group in old.items():
            for roster in group.rosters.values():
                if (name, roster.name) not in kept:
                    slots = np.flatnonzero(roster.live.first_seen).tolist()
                    gone += [Sighting(name, roster.name, self._table[slot], 0) for slot in slots]
        return [replace(sighting, first_seen=0) for sighting in gone]

    def _group_run(self, group: Group, old: GroupEvaluator | None, old_runs: OldRuns) -> GroupEvaluator:
        runs = [self._rule_run(group, place, old_runs) for place in range(len(group.rules))]
        rosters = self._rosters(group, runs, old)
        subject = ModelSubject(self._failed)
        for run in runs:
            subject.attach(RuleObserver(run, rosters))
        if old is not None:
            return GroupEvaluator(group, runs, subject, rosters, old.last_slot, old.seconds, old.missed, old.lock)
        return GroupEvaluator(group, runs, subject, rosters, self._slots.get(group.name))

    def _rosters(
        self, group: Group, runs: Iterable[RuleEvaluator], old: GroupEvaluator | None
    ) -> dict[str, ExpectedModelsState]:
        """The rosters of the signals that strategies judge: as they were, or as they are stored."""
        judged = {name for run in runs if run.strategy is not None or run.parts for name in run.queries}
        before = {} if old is None else {roster.name: roster for roster in old.rosters.values()}
        rosters: dict[str, ExpectedModelsState] = {}
        for name in sorted(judged):
            stored = f"{name}#{group.signal_meaning(name)}"
            rosters[name] = before.get(stored) or self._restored(group.name, stored)
        for run in runs:
            for name in run.queries:
                if name in rosters:
                    roster = rosters[name].live
                    run.expect(np.flatnonzero(roster.first_seen), told=np.flatnonzero(roster.missing_since))
        return rosters

    def _restored(self, group: str, signal: str) -> ExpectedModelsState:
        found = ExpectedModelsState.fresh(signal)
        stored = self._seen.pop((group, signal), [])
        found.live.restore((self._table.row(item.model), item) for item in stored)
        return found

    def _rule_run(self, group: Group, place: int, old_runs: OldRuns) -> RuleEvaluator:
        rule = group.rules[place]
        key = (rule.name, group.fingerprint(rule))
        if key in old_runs:
            return old_runs[key].continued(group, rule)
        run = RuleEvaluator.of(group, rule, self._table)
        run.restore(self._stored.pop(key, []))
        strategy_state.restore(run, self._chunks)
        frozen_labels.restore(run, self._chunks)
        return run


def by_meaning(groups: OldGroups) -> dict[tuple[str, str], RuleEvaluator]:
    """Every rule by its name and fingerprint."""
    return {(run.rule.name, run.fingerprint): run for group in groups.values() for run in group.runs}
