"""Evaluations as values: what later slots, and models that leave, do not change."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.rule import Breaches, Condition, StrategySpec
from bridge.domain.times import SECOND
from bridge.domain.verdict import Verdicts
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.strategies.base import StateColumn
from bridge.strategies.threshold import ThresholdStrategy
from tests.support.world import QUERY_FAILED, A, B, World, group, rule

DRIFTS = Condition("drift", StrategySpec("threshold", {"max": 0.6}))
ERRS = Condition("errors", StrategySpec("threshold", {"max": 0.1}))
BOTH = rule("Both", query="drift", limit=None, conditions=(DRIFTS, ERRS), at_least=1)


def evaluated(world: World, **answers: object) -> dict[str, Evaluation]:
    """Return the evaluations of the next slot, by rule."""
    for signal, answer in answers.items():
        world.say(answer, signal=signal)  # type: ignore[arg-type]
    world.now += world.group.interval
    return dict(world.evaluate().evaluations)


def test_an_evaluation_is_returned_for_every_rule() -> None:
    """A rule whose query failed has one too: every model is inconclusive."""
    world = World(group(rule("First"), rule("Second", query="errors", limit=0.1)))
    found = evaluated(world, drift={A: 0.7}, errors=QUERY_FAILED)
    assert {name: item.slot for name, item in found.items()} == {"First": world.now, "Second": world.now}
    assert (found["First"].batch is not None, found["Second"].batch) == (True, None)
    assert world.state.groups["g"].evaluations == found


def test_later_slots_do_not_change_it() -> None:
    """Neither its text nor its columns: the next slot is inconclusive, the one after it healthy."""
    counted = rule("Counted", breaches=Breaches(2, 4))
    world = World(group(rule("Drifted"), counted, BOTH))
    found = evaluated(world, drift={A: 0.7, B: 0.1}, errors={A: 0.2, B: 0.0})
    texts = {name: item.facts(0) for name, item in found.items()}
    codes = {name: item.columns.code.tolist() for name, item in found.items()}
    assert texts == {
        "Drifted": "drift 0.7 above 0.6",
        "Counted": "drift 0.7 above 0.6, breached in 1 of the last 4 slots",
        "Both": "drift 0.7 above 0.6; drift errors 0.2 above 0.1",
    }
    evaluated(world, drift=QUERY_FAILED, errors=QUERY_FAILED)
    evaluated(world, drift={A: 0.1, B: 0.9}, errors={A: 0.0, B: 0.0})
    assert {name: item.facts(0) for name, item in found.items()} == texts
    assert {name: item.columns.code.tolist() for name, item in found.items()} == codes


def test_models_that_leave_stay_in_it() -> None:
    """Retirement resets the columns of the rule, not those of the evaluation."""
    world = World(group(rule()))
    (item,) = evaluated(world, drift={A: 0.7}).values()
    run = world.rule("Drifted")
    run.begin()
    run.leave(np.array([0]))
    assert (item.columns.state.tolist(), item.columns.value.tolist(), item.facts(0)) == (
        [2],
        [0.7],
        "drift 0.7 above 0.6",
    )


def test_caught_up_slots_have_evaluations_of_their_own() -> None:
    """Within one tick, too; the present slot's are returned."""
    run = World(group(rule())).rule("Drifted")
    run.begin()
    first = run.unanswered(10 * SECOND, QUERY_FAILED.cause)
    run.expect(np.array([run.table.row(A)]))
    second = run.unanswered(20 * SECOND, QUERY_FAILED.cause)
    assert (first.columns.known.tolist(), second.columns.known.tolist()) == ([], [True])


def test_it_holds_nothing_that_changes() -> None:
    """Frozen records and read-only arrays only, and no evaluator, whose state changes in every slot."""
    world = World(group(BOTH))
    (item,) = evaluated(world, drift={A: 0.7}, errors={A: 0.2}).values()
    records: list[Any] = [item, item.columns, item.moves, *item.conditions]
    assert [record.__dataclass_params__.frozen for record in records] == [True] * len(records)
    values = [getattr(record, field.name) for record in records for field in fields(record)]
    assert not [value for value in values if isinstance(value, RuleEvaluator)]
    columns = [getattr(item.columns, field.name) for field in fields(item.columns)]
    columns += [array for one in item.conditions for array in (one.code, one.cause, one.value, one.threshold)]
    assert not any(column.flags.writeable for column in columns)


def test_a_rule_that_raises_has_no_evaluation_and_the_others_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged with the rule and reported; the next slot is evaluated as ever."""
    world = World(group(rule("First"), rule("Second")))
    failing = world.rule("First").strategy
    original = ThresholdStrategy.analyse_batch

    def analyse_batch(self: ThresholdStrategy, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        if self is failing:
            raise ZeroDivisionError("broken")
        return original(self, batch, state)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(ThresholdStrategy, "analyse_batch", analyse_batch)
        world.say({A: 0.7})
        world.now += world.group.interval
        result = world.evaluate()
    assert list(result.evaluations) == ["Second"]
    assert list(result.report.errors) == ["First"]
    (record,) = [item for item in caplog.records if item.message == "rule could not be evaluated"]
    assert (vars(record)["rule"], "broken" in vars(record)["error"]) == ("First", True)
    assert list(evaluated(world, drift={A: 0.7})) == ["First", "Second"]
