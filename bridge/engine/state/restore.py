"""Restoration at a start or a reload: state with an equal fingerprint is kept, the rest is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from msgspec import structs

from bridge.domain import alert
from bridge.domain.alert import AlertRow
from bridge.domain.model import ModelTable
from bridge.domain.rule import Group
from bridge.domain.times import Timestamp
from bridge.engine.evaluation.expected_models import ExpectedModelsState
from bridge.engine.evaluation.group import GroupEvaluator
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state import alert_numbers, frozen_labels, logged, storms, strategy_state, waiting
from bridge.ports import Sighting, Snapshot, StateChunk

OldRuns = Mapping[tuple[str, str], RuleEvaluator]  # by name and fingerprint
OldGroups = Mapping[str, GroupEvaluator]


@dataclass(slots=True)
class StaleRows:
    """Stored rows of removed rules and signals, in the form that deletes them with the next commit."""

    alerts: list[AlertRow] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    chunks: list[StateChunk] = field(default_factory=list)


class Restorer:
    """Builder of group evaluators from stored or running state."""

    def __init__(self, table: ModelTable) -> None:
        self._table = table
        self._slots: dict[str, Timestamp] = {}
        self._stored: dict[tuple[str, str], list[AlertRow]] = {}
        self._seen: dict[tuple[str, str], list[Sighting]] = {}
        self._chunks: dict[tuple[str, str], StateChunk] = {}

    def load(self, snapshot: Snapshot) -> None:
        """Load the snapshot of the store."""
        self._slots = dict(snapshot.slots)
        for row in snapshot.alerts:
            self._stored.setdefault((row.rule, row.fingerprint), []).append(row)
        self._chunks = {
            (chunk.rule, chunk.fingerprint): chunk for chunk in snapshot.state if not storms.is_storm(chunk)
        }
        for sighting in snapshot.sightings:
            self._seen.setdefault((sighting.group, sighting.signal), []).append(sighting)

    def groups(self, wanted: Iterable[Group], old: OldGroups) -> dict[str, GroupEvaluator]:
        """Return the evaluators of the groups `wanted`, with the state of `old` groups where it still applies."""
        old_runs = by_name_and_fingerprint(old)
        return {group.name: self._group_run(group, old.get(group.name), old_runs) for group in wanted}

    def stale_rows(self, groups: OldGroups, old: OldGroups) -> StaleRows:
        """Return the rows that no evaluator kept; `groups` are those now in force."""
        kept, old_runs = by_name_and_fingerprint(groups), by_name_and_fingerprint(old)
        gone = {key: run for key, run in old_runs.items() if key not in kept}
        return StaleRows(self._stale_alerts(gone), self._stale_sightings(groups, old), self._stale_chunks(gone))

    def _stale_alerts(self, gone: OldRuns) -> list[AlertRow]:
        """Return the alert rows of removed rules, as inactive ones."""
        rows = [row for stored in self._stored.values() for row in stored]
        self._stored = {}
        for key, run in gone.items():
            active = np.flatnonzero((run.live.alerts.state != 0) | (run.live.alerts.recent != 0))
            rows += alert.rows(run.live.alerts, active, *key, self._table.models)
        return [structs.replace(row, state=alert.State.INACTIVE, recent=0) for row in rows]

    def _stale_chunks(self, gone: OldRuns) -> list[StateChunk]:
        """Return the strategy state of removed rules, as empty chunks."""
        chunks = list(self._chunks.values())
        self._chunks = {}
        for run in gone.values():
            chunks += [StateChunk(name, run.fingerprint, 0, (), b"") for name in run.state_slots]
        return [replace(chunk, models=(), data=b"") for chunk in chunks]

    def _stale_sightings(self, groups: OldGroups, old: OldGroups) -> list[Sighting]:
        """Return the expected models of removed signals, as sightings that delete their row."""
        kept = {
            (group.group.name, expected.name)
            for group in groups.values()
            for expected in group.expected_models.values()
        }
        gone = [sighting for stored in self._seen.values() for sighting in stored]
        self._seen = {}
        for name, group in old.items():
            for expected in group.expected_models.values():
                if (name, expected.name) not in kept:
                    gone += [Sighting(name, expected.name, self._table[row], 0) for row in expected.live.rows()]
        return [structs.replace(sighting, first_seen=0) for sighting in gone]

    def _group_run(self, group: Group, old: GroupEvaluator | None, old_runs: OldRuns) -> GroupEvaluator:
        runs = [self._rule_run(group, index, old_runs) for index in range(len(group.rules))]
        expected_models = self._expected_models(group, runs, old, old_runs)
        for run in runs:
            logged.restore(run, self._chunks)
        if old is not None:
            return GroupEvaluator(
                group, runs, expected_models, old.last_slot, old.seconds, old.missed, old.lock,
                queried_until=old.queried_until,
            )  # fmt: skip
        return GroupEvaluator(group, runs, expected_models, self._slots.get(group.name))

    def _expected_models(
        self, group: Group, runs: Iterable[RuleEvaluator], old: GroupEvaluator | None, old_runs: OldRuns
    ) -> dict[str, ExpectedModelsState]:
        """Return the expected models of the signals that strategies evaluate, running ones before stored ones."""
        judged = {name for run in runs if run.strategy is not None or run.parts for name in run.queries}
        before = {} if old is None else {expected.name: expected for expected in old.expected_models.values()}
        expected_models: dict[str, ExpectedModelsState] = {}
        for name in sorted(judged):
            stored = f"{name}#{group.signal_meaning(name)}"
            expected_models[name] = before.get(stored) or self._restored(group.name, stored)
        for run in runs:
            continued = (run.rule.name, run.fingerprint) in old_runs  # knows what it has logged
            for name in run.queries:
                if name in expected_models:
                    expected = expected_models[name].live
                    missing = None if continued else np.flatnonzero(expected.missing_since)
                    run.expect(np.flatnonzero(expected.first_seen), missing)
        return expected_models

    def _restored(self, group: str, signal: str) -> ExpectedModelsState:
        state = ExpectedModelsState.fresh(signal)
        stored = self._seen.pop((group, signal), [])
        state.live.restore((self._table.row(item.model), item) for item in stored)
        return state

    def _rule_run(self, group: Group, index: int, old_runs: OldRuns) -> RuleEvaluator:
        rule = group.rules[index]
        key = (rule.name, group.fingerprint(rule))
        if key in old_runs:
            return old_runs[key].continued(group, rule)
        run = RuleEvaluator.of(group, rule, self._table)
        run.restore(self._stored.pop(key, []))
        strategy_state.restore(run, self._chunks)
        frozen_labels.restore(run, self._chunks)
        alert_numbers.restore(run, self._chunks)
        waiting.restore(run, self._chunks)
        return run


def by_name_and_fingerprint(groups: OldGroups) -> dict[tuple[str, str], RuleEvaluator]:
    """Return every rule evaluator by rule name and fingerprint."""
    return {(run.rule.name, run.fingerprint): run for group in groups.values() for run in group.runs}
