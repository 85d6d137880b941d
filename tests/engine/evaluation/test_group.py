"""Evaluator of a rule group: expected models, departures, and rows to store."""

from __future__ import annotations

from bridge.domain.rule import RuleKind
from bridge.domain.times import DAY, MINUTE
from bridge.engine.evaluation.group import REPLACED_AFTER, GroupEvaluator
from tests.support.world import A, B, C, World, group, rule


def evaluator(world: World) -> GroupEvaluator:
    return world.state.groups["g"]


def test_queries_are_those_of_all_rules() -> None:
    """Each once, by name."""
    run = evaluator(World(group(rule("One"), rule("Two", query="latency"), rule("Three"))))
    assert sorted(run.queries()) == ["drift", "latency"]


def test_the_rules_on_a_signal_decide_its_health() -> None:
    """Rules on other signals do not."""
    run = evaluator(World(group(rule("One"), rule("Two", query="latency"))))
    assert [item.rule.name for item in run.judges("drift")] == ["One"]


def test_a_silent_old_version_is_replaced_and_another_model_retired() -> None:
    """The version 8 of A's pipeline reports; B has no successor and waits for the longer time."""
    world = World(group(rule(), interval=MINUTE))
    world.tick({A: 0.1, B: 0.1})
    world.tick({C: 0.1})
    run, table = evaluator(world), world.engine.table
    late = world.now + REPLACED_AFTER
    run.begin(0)
    assert [(rows.tolist(), why) for _, _, rows, why in run.departures(late, DAY)] == [([table.row(A)], "replaced")]
    run.begin(0)
    departures = [(rows.tolist(), why) for _, _, rows, why in run.departures(world.now + DAY, DAY)]
    assert departures == [([table.row(A)], "replaced"), ([table.row(B)], "retired")]


def test_only_changed_rows_are_stored() -> None:
    """The firing model has a row; a new and healthy one has none, and a second slot changes nothing."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.1})
    assert [row.model for row in world.store.load(0).alerts] == [A]
    run = evaluator(world)
    run.begin(0)
    assert (run.rows(), run.sightings()) == ([], [])


def test_a_resolved_alert_rule_is_news() -> None:
    """A healthy slot without a transition is not."""
    world = World(group(rule(kind=RuleKind.ALERT)))
    news = []
    for value in (0.7, 0.1, 0.1):
        world.tick({A: value})
        news.append(len(evaluator(world).evaluations["Drifted"].moves.resolved) > 0)
    assert news == [False, True, False]
