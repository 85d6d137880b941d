"""Checkpoint of a replay: the complete state of an engine between two slots.

The store of a live bridge holds less on purpose: an evaluation restores the rest within a slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bridge.domain import alert
from bridge.domain.model import ModelKey, ModelTable, PipelineKey
from bridge.domain.times import Timestamp
from bridge.engine.access import EngineState
from bridge.engine.engine import Engine
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state import strategy_state
from bridge.ports import Sighting, Snapshot, StateChunk

_COLUMNS = ("code", "cause", "value", "statistic", "threshold", "known", "logged_cause", "since")


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """State of a rule that no store holds. columns: bytes by column name, over the models of the checkpoint."""

    columns: Mapping[str, bytes]
    series: Mapping[int, Mapping[str, str]]
    expanded: Mapping[int, Mapping[str, str]]
    health: str
    last_error: str
    last_evaluation: Timestamp
    failures: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Complete state of an engine.

    models: in the order of their rows.
    rules: by rule name.
    storms: first and last instant of each group's storm.
    last_end: start of each pipeline's cooldown.
    """

    models: Sequence[ModelKey]
    snapshot: Snapshot
    rules: Mapping[str, RuleMemory]
    storms: Mapping[str, tuple[Timestamp, Timestamp]]
    last_end: Sequence[tuple[PipelineKey, Timestamp]]


def take(engine: Engine) -> Checkpoint:
    """Return the checkpoint of an engine between two slots."""
    with engine.read() as state:
        size, rules = len(state.table), state.rules
        for rule in rules.values():
            rule.live.grow(size, rule.strategy, rule.parts)
        return Checkpoint(
            list(state.table.models),
            _snapshot(state),
            {name: _memory(rule) for name, rule in rules.items()},
            dict(state.storms),
            list(state.episode_index.last_end.items()),
        )


def prepare(table: ModelTable, checkpoint: Checkpoint) -> None:
    """Give the models the rows that they had; `table` must be empty."""
    for model in checkpoint.models:
        table.row(model)


def put(engine: Engine, checkpoint: Checkpoint) -> None:
    """Restore a checkpoint in an engine that was started from its snapshot and configured with the same rules."""
    with engine.read() as state:
        for name, rule in state.rules.items():
            _restore(rule, checkpoint.rules[name], len(checkpoint.models))
    engine.restore_memory(checkpoint.storms, checkpoint.last_end)


def _restore(rule: RuleEvaluator, memory: RuleMemory, size: int) -> None:
    rule.live.grow(size, rule.strategy, rule.parts)
    for name in _COLUMNS:
        dtype = getattr(rule.live, name).dtype
        setattr(rule.live, name, np.frombuffer(memory.columns[name], dtype).copy())
    rule.texts.series, rule.texts.expanded = dict(memory.series), dict(memory.expanded)
    rule.health, rule.last_error = memory.health, memory.last_error
    rule.last_evaluation, rule.failures = memory.last_evaluation, memory.failures


def _memory(run: RuleEvaluator) -> RuleMemory:
    columns = {name: getattr(run.live, name).tobytes() for name in _COLUMNS}
    texts = run.texts
    return RuleMemory(
        columns, texts.series, texts.expanded, run.health, run.last_error, run.last_evaluation, run.failures
    )


def _snapshot(state: EngineState) -> Snapshot:
    index = state.episode_index
    sent = [(at, *key) for key, times in index.sent.times.items() if len(key) == 2 for at in times]
    return Snapshot(
        {name: group.last_slot for name, group in state.groups.items() if group.last_slot is not None},
        [row for rule in state.rules.values() for row in _rows(rule)],
        [*index.episodes.values(), *index.ended.values()],
        list(index.requests.values()),
        [chunk for rule in state.rules.values() for chunk in _chunks(rule)],
        _sightings(state),
        [(PipelineKey(project, pipeline), at) for at, project, pipeline in sorted(sent)],
    )


def _rows(run: RuleEvaluator) -> list[alert.AlertRow]:
    columns = run.live.alerts
    active = np.flatnonzero((columns.state != 0) | (columns.recent != 0))
    return alert.rows(columns, active, run.rule.name, run.fingerprint, run.table.models)


def _chunks(run: RuleEvaluator) -> list[StateChunk]:
    """Return the state of the rule's strategies as of its last slot."""
    return [
        StateChunk(item.name, run.fingerprint, run.last_evaluation, tuple(run.table.models), item.live.state.tobytes())
        for item in strategy_state.kept(run)
        if item.live.state is not None and item.name not in run.behind
    ]


def _sightings(state: EngineState) -> list[Sighting]:
    return [
        expected.live.sighting(name, expected.name, state.table.models, row)
        for name, group in state.groups.items()
        for expected in group.expected_models.values()
        for row in expected.live.rows()
    ]
