"""Evaluator of one rule: texts of an evaluation, staging, and restored state."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.domain.alert import AlertRow, State
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.times import SECOND
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.rule import RuleEvaluator
from tests.support.world import A, B, group, rule

NEVER_SEEN = np.zeros(2, np.int64)


def evaluator(**more: Any) -> RuleEvaluator:
    wanted = group(rule(**more))
    return RuleEvaluator.of(wanted, wanted.rules[0], ModelTable())


def evaluate(run: RuleEvaluator, samples: dict[ModelKey, float], slot: int) -> Evaluation:
    index = np.array([run.table.row(model) for model in samples], np.int32)
    values = np.array(list(samples.values()), np.float64)
    series = [b'{"instance":"i1"}' for _ in samples]
    batch = EventBatch("drift", EventKind.DRIFT, slot, run.table, index, {"value": values}, series=series)
    return run.evaluate(batch, NEVER_SEEN)


def test_a_reason_names_rule_sample_limit_and_for() -> None:
    """While pending it names what has to happen, later what did."""
    run = evaluator(for_=20 * SECOND)
    run.begin()
    evaluation = evaluate(run, {A: 0.7}, 0)
    assert evaluation.moves.pending.tolist() == [0]
    assert evaluation.describe(0, waiting=True) == "Drifted: drift 0.7 above 0.6, must last for 20s"
    later = evaluate(run, {A: 0.7}, 20 * SECOND)
    assert later.moves.fired.tolist() == [0]
    assert later.describe(0) == "Drifted: drift 0.7 above 0.6 for 20s"


def test_position_and_series_belong_to_the_models_sample() -> None:
    """Of an absent model there is neither."""
    run = evaluator()
    run.begin()
    run.table.row(A)
    evaluation = evaluate(run, {B: 0.1}, 0)
    assert (evaluation.position(1), evaluation.series(1)) == (0, {"instance": "i1"})
    assert (evaluation.position(0), evaluation.series(0)) == (-1, {})


def test_a_rollback_restores_the_committed_state() -> None:
    """A commit keeps the staged one."""
    run = evaluator()
    run.begin()
    evaluate(run, {A: 0.7}, 0)
    run.rollback()
    assert len(run.live.code) == 0
    run.begin()
    evaluate(run, {A: 0.7}, 0)
    run.commit()
    assert run.live.alerts.state.tolist() == [State.FIRING]


def test_a_slot_without_a_response_is_inconclusive_for_every_model() -> None:
    """The alert state stays."""
    run = evaluator()
    run.begin()
    evaluate(run, {A: 0.7, B: 0.1}, 0)
    run.unanswered(10 * SECOND, Cause.QUERY_ERROR)
    assert run.staged.code.tolist() == [Code.INCONCLUSIVE] * 2
    assert run.staged.cause.tolist() == [Cause.QUERY_ERROR] * 2
    assert run.staged.alerts.state.tolist() == [State.FIRING, State.INACTIVE]


def test_an_absent_model_is_healthy_for_an_expression_and_unknown_for_a_signal() -> None:
    """An expression returns only breached models."""
    for limit, code in ((None, Code.OK), (0.6, Code.INCONCLUSIVE)):
        run = evaluator(limit=limit)
        run.begin()
        evaluate(run, {A: 0.7}, 0)
        evaluate(run, {B: 0.7}, 10 * SECOND)
        assert run.staged.code[0] == code


def test_a_retired_model_leaves_no_state() -> None:
    """It was firing, so it is returned."""
    run = evaluator()
    run.begin()
    evaluate(run, {A: 0.7, B: 0.1}, 0)
    assert run.leave(np.array([0, 1])).tolist() == [0]
    assert run.staged.known.tolist() == [False, False]
    assert run.staged.alerts.state.tolist() == [State.INACTIVE] * 2
    assert np.isnan(run.staged.value).all()


def test_stored_rows_are_restored() -> None:
    """With the model's labels, since the sample's are not stored."""
    run = evaluator()
    run.restore([AlertRow("Drifted", run.fingerprint, A, State.FIRING, 5, 7, 0)])
    alerts = run.live.alerts
    assert (alerts.state.tolist(), alerts.active_at.tolist(), alerts.fired_at.tolist()) == ([State.FIRING], [5], [7])
    assert (run.live.known.tolist(), run.texts.series) == ([True], {0: A.labels()})


def test_an_edited_rule_keeps_the_state_and_takes_the_new_settings() -> None:
    """A longer `for` does not change the fingerprint."""
    run = evaluator()
    run.begin()
    evaluate(run, {A: 0.7}, 0)
    run.commit()
    wanted = group(rule(for_=60 * SECOND))
    edited = run.continued(wanted, wanted.rules[0])
    assert (edited.fingerprint, edited.rule.for_) == (run.fingerprint, 60 * SECOND)
    assert edited.live is run.live
