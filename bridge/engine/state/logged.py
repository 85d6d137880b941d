"""Last entries of the decision log about a rule and its models, across restarts: none is missing or repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.expected_models import ExpectedModels, ExpectedModelsState
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.state import json_chunk
from bridge.engine.state.strategy_state import EVERY, SMALL
from bridge.ports import StateChunk

_MODEL_BYTES = 64  # of a stored model, about


@dataclass(frozen=True, slots=True)
class _Content:
    """Content of a chunk. causes: of the chunk's models, in their order."""

    failures: int
    error: str
    causes: list[int]


_content = msgspec.json.Decoder(_Content)


def chunk(
    run: RuleEvaluator, expected: Mapping[str, ExpectedModelsState], interval: Duration, slot: Timestamp
) -> StateChunk | None:
    """Return what to store in this slot; None: nothing has changed, or it is large and was written lately.

    Only the causes are stored that `expect` does not restore from the expected models.

    expected: the expected models of the group's signals.
    interval: of the group, in ms.
    """
    logged, name = run.staged.logged_cause, _name(run)
    rows = np.flatnonzero(logged != _restored(run, {key: item.staged for key, item in expected.items()}))
    causes, written = logged[rows], run.state_slots.get(name)
    now = (run.failures, run.last_error, rows.tobytes(), causes.tobytes())
    blank = not len(rows) and not run.failures
    if now == run.logged or (blank and written is None):
        return None
    if len(rows) * _MODEL_BYTES > SMALL and written is not None and slot - written < EVERY * interval:
        return None
    run.logged = now
    if blank:
        del run.state_slots[name]
        return StateChunk(name, run.fingerprint, slot, (), b"")
    run.state_slots[name] = slot
    content = _Content(run.failures, run.last_error, causes.tolist())
    models = tuple(run.table[row] for row in rows.tolist())
    return StateChunk(name, run.fingerprint, slot, models, msgspec.json.encode(content))


def restore(run: RuleEvaluator, stored: dict[tuple[str, str], StateChunk]) -> None:
    """Give the rule what is stored of it, once it expects its models."""
    found = json_chunk.take(run, _name(run), stored, _content)
    if found is None:
        return
    chunk, last = found
    run.failures, run.last_error, run.health = last.failures, last.error, ("err" if last.failures else run.health)
    rows = [run.table.row(model) for model in chunk.models]
    run.live.grow(len(run.table), run.strategy, run.parts)
    run.live.known[rows], run.live.logged_cause[rows] = True, last.causes


def _restored(run: RuleEvaluator, expected: Mapping[str, ExpectedModels]) -> NDArray[np.int8]:
    """Return the causes that `expect` restores, (n,): those of missing models."""
    causes = np.zeros(len(run.staged.logged_cause), np.int8)
    for name in run.queries:
        if name in expected:
            causes[np.flatnonzero(expected[name].missing_since[: len(causes)])] = Cause.NO_DATA
    return causes


def _name(run: RuleEvaluator) -> str:
    return f"{run.rule.name}#logged"
