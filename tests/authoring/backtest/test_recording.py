"""Recording of signals for charts."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.authoring.backtest.recording import MOST_MODELS, STEPS, Recorder, Recording
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.times import HOUR
from bridge.domain.verdict import Cause
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.rule import RuleEvaluator
from tests.support.world import group, rule

SINCE = 1_700_000_000_000
UNTIL = SINCE + STEPS * HOUR
INTERVALS = {"Drifted": HOUR}


def judged(table: ModelTable, run: RuleEvaluator, models: int, slot: int) -> dict[str, Evaluation]:
    """Return the evaluation of a slot in which so many models had a sample."""
    index = np.array([table.row(ModelKey("p", f"{number}", "1")) for number in range(models)], np.int32)
    batch = EventBatch("drift", EventKind.DRIFT, slot, table, index, {"value": np.arange(models, dtype=float)})
    run.begin()
    evaluation = run.evaluate(batch, np.zeros(models, np.int64))
    run.commit()
    return {run.rule.name: evaluation}


def test_models_beyond_the_first_thousand_are_not_recorded() -> None:
    """The recording is bounded in models and in time."""
    table = ModelTable()
    run = RuleEvaluator.of(group(rule()), rule(), table)
    recorder = Recorder(SINCE, UNTIL, table, INTERVALS)
    recorder.take(judged(table, run, 3, SINCE))
    recorder.take(judged(table, run, MOST_MODELS + 5, SINCE + HOUR))
    last = recorder.line("Drifted", MOST_MODELS - 1)
    assert last is not None
    assert last.high[:3].tolist() == pytest.approx([np.nan, MOST_MODELS - 1, np.nan], nan_ok=True)
    assert recorder.line("Drifted", MOST_MODELS) is None
    assert recorder.recording().rules["Drifted"].models == MOST_MODELS


def test_a_recording_continues_where_it_was() -> None:
    """After an interruption, in another process."""
    table = ModelTable()
    run = RuleEvaluator.of(group(rule()), rule(), table)
    first = Recorder(SINCE, UNTIL, table, INTERVALS)
    first.take(judged(table, run, 2, SINCE))
    second = Recorder(SINCE, UNTIL, table, INTERVALS, first.recording())
    second.take(judged(table, run, 2, UNTIL))
    result = second.line("Drifted", 1)
    assert result is not None
    assert np.flatnonzero(np.isfinite(result.low)).tolist() == [0, STEPS - 1]
    assert result.threshold[0] == pytest.approx(0.6)


def test_a_slot_without_an_answer_records_nothing() -> None:
    """There is nothing to draw."""
    run = RuleEvaluator.of(group(rule()), rule(), ModelTable())
    run.begin()
    recorder = Recorder(SINCE, UNTIL, run.table, INTERVALS)
    recorder.take({"Drifted": run.unanswered(SINCE, Cause.QUERY_ERROR)})
    assert recorder.recording() == Recording(SINCE, UNTIL)


def test_a_step_is_never_shorter_than_the_interval() -> None:
    """A slow rule has no gaps between its samples, so that its chart is a line and not a row of dots."""
    table = ModelTable()
    run = RuleEvaluator.of(group(rule()), rule(), table)
    until = SINCE + 12 * HOUR
    recorder = Recorder(SINCE, until, table, INTERVALS)
    for slot in range(SINCE + 60_000, until, HOUR):
        recorder.take(judged(table, run, 1, slot))
    result = recorder.line("Drifted", 0)
    assert result is not None
    assert np.isfinite(result.low).tolist() == [True] * 12
    assert recorder.recording().rules["Drifted"].steps == 12
