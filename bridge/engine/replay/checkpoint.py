"""All that an engine knows between two slots, to go on from it exactly: a replay that was interrupted loses nothing.

The store of a live bridge holds less, on purpose: what it does not hold is found again within a slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bridge.domain import alert
from bridge.domain.model import ModelKey, ModelTable, PipelineKey
from bridge.domain.times import Timestamp
from bridge.engine.engine import Engine
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state import strategy_state
from bridge.ports import Sighting, Snapshot, StateChunk

_COLUMNS = ("code", "cause", "value", "statistic", "threshold", "known", "told", "since")


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """What no store holds of a rule. columns: name -> bytes of the column, over the models of the checkpoint."""

    columns: Mapping[str, bytes]
    series: Mapping[int, Mapping[str, str]]
    expanded: Mapping[int, Mapping[str, str]]
    health: str
    last_error: str
    last_evaluation: Timestamp
    failures: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """models: in the order of their slots. last_end: when each pipeline was retrained last.

    left: group -> signal -> slots of the models that are gone for good.
    """

    models: Sequence[ModelKey]
    snapshot: Snapshot
    rules: Mapping[str, RuleMemory]
    storms: Mapping[str, tuple[Timestamp, Timestamp]]
    last_end: Sequence[tuple[PipelineKey, Timestamp]]
    left: Mapping[str, Mapping[str, set[int]]]


def take(engine: Engine) -> Checkpoint:
    """Of an engine between two slots."""
    size = len(engine.table)
    runs = engine.runs()
    for run in runs.values():
        run.live.grow(size, run.strategy, run.parts)
    return Checkpoint(
        list(engine.table.models),
        _snapshot(engine),
        {name: _memory(run) for name, run in runs.items()},
        dict(engine.keeper().storms),
        list(engine.book.last_end.items()),
        {
            name: {signal: roster.live.left for signal, roster in group.rosters.items()}
            for name, group in engine.groups.items()
        },
    )


def prepare(table: ModelTable, checkpoint: Checkpoint) -> None:
    """Give the models the slots that they had; `table` is empty."""
    for model in checkpoint.models:
        table.row(model)


def put(engine: Engine, checkpoint: Checkpoint) -> None:
    """Into an engine that was started from the checkpoint's snapshot and configured with the same rules."""
    for name, run in engine.runs().items():
        memory = checkpoint.rules[name]
        run.live.grow(len(checkpoint.models), run.strategy, run.parts)
        for column in _COLUMNS:
            found = getattr(run.live, column)
            setattr(run.live, column, np.frombuffer(memory.columns[column], found.dtype).copy())
        run.series, run.expanded = dict(memory.series), dict(memory.expanded)
        run.health, run.last_error = memory.health, memory.last_error
        run.last_evaluation, run.failures = memory.last_evaluation, memory.failures
    for name, group in engine.groups.items():
        for signal, roster in group.rosters.items():
            roster.live.left = set(checkpoint.left[name][signal])
    engine.keeper().storms.clear()
    engine.keeper().storms.update(checkpoint.storms)
    engine.book.last_end.update(checkpoint.last_end)


def _memory(run: RuleEvaluator) -> RuleMemory:
    columns = {name: getattr(run.live, name).tobytes() for name in _COLUMNS}
    return RuleMemory(columns, run.series, run.expanded, run.health, run.last_error, run.last_evaluation, run.failures)


def _snapshot(engine: Engine) -> Snapshot:
    book = engine.book
    sent = [(at, *key) for key, times in book.sent.times.items() if len(key) == 2 for at in times]
    return Snapshot(
        {name: group.last_slot for name, group in engine.groups.items() if group.last_slot is not None},
        [row for run in engine.runs().values() for row in _rows(run)],
        [*book.episodes.values(), *book.ended.values()],
        list(book.requests.values()),
        [chunk for run in engine.runs().values() for chunk in _chunks(run)],
        _sightings(engine),
        [(PipelineKey(project, pipeline), at) for at, project, pipeline in sorted(sent)],
    )


def _rows(run: RuleEvaluator) -> list[alert.AlertRow]:
    columns = run.live.alerts
    active = np.flatnonzero((columns.state != 0) | (columns.recent != 0))
    return alert.rows(columns, active, run.rule.name, run.fingerprint, run.table.models)


def _chunks(run: RuleEvaluator) -> list[StateChunk]:
    """All of what its strategies remember, as of its last slot."""
    return [
        StateChunk(item.name, run.fingerprint, run.last_evaluation, tuple(run.table.models), item.live.state.tobytes())
        for item in strategy_state.kept(run)
        if item.live.state is not None and item.name not in run.behind
    ]


def _sightings(engine: Engine) -> list[Sighting]:
    return [
        Sighting(
            name,
            roster.name,
            engine.table[slot],
            int(roster.live.first_seen[slot]),
            int(roster.live.missing_since[slot]),
        )
        for name, group in engine.groups.items()
        for roster in group.rosters.values()
        for slot in np.flatnonzero(roster.live.first_seen).tolist()
    ]
