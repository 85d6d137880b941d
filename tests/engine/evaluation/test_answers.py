"""Partial responses: rules whose policy uses them, and the quality counted per evaluation."""

from __future__ import annotations

import pytest

from bridge.domain.rule import Condition, StrategySpec
from bridge.domain.verdict import Cause
from tests.support.world import QUERY_FAILED, A, B, World, group, rule

USE = {Cause.PARTIAL: "use"}


def partial_world(*rules: object) -> World:
    world = World(group(*rules))  # type: ignore[arg-type]
    world.source.partial = True
    return world


@pytest.mark.parametrize("limit", [None, 0.6], ids=["expr", "signal"])
def test_a_rule_that_uses_partial_answers_judges_them_as_whole(limit: float | None) -> None:
    """It makes a request and is healthy, and its responses are still counted as partial."""
    world = partial_world(rule("Uses", limit=limit, policies=USE), rule("Keeps", limit=limit))
    report = world.tick({A: 0.7})
    assert [(model, state) for model, state in world.states()] == [(A, "requested")]
    assert world.requests()[0].request.rule == "Uses"
    assert report.errors == {"Keeps": "the answer is partial: truncated"}
    assert report.answers == {"Uses": "partial_used", "Keeps": "partial"}
    assert {run.rule.name: run.health for run in world.state.groups["g"].runs} == {"Uses": "ok", "Keeps": "err"}


def test_an_absence_counts_for_a_plain_expression_that_uses_partial_answers() -> None:
    """The episode ends, as after a complete response; without the policy it would continue."""
    world = partial_world(rule("Uses", limit=None, policies=USE))
    world.tick({A: 0.7})
    world.tick({B: 0.8})
    run = world.state.groups["g"].runs[0]
    assert run.live.alerts.state[world.engine.table.row(A)] == 0


def test_a_condition_takes_a_partial_answer_as_its_rule_does() -> None:
    """The policy applies to composite rules too."""
    both = tuple(Condition(name, StrategySpec("threshold", {"max": 0.6})) for name in ("drift", "other"))
    for policies, states in ((USE, [(A, "requested")]), ({}, [])):
        world = partial_world(rule("Both", conditions=both, at_least=2, policies=policies))
        world.say({A: 0.7}, signal="other")
        world.tick({A: 0.7})
        assert world.states() == states


def test_whoever_is_absent_from_a_partial_answer_is_not_taken_for_gone() -> None:
    """Expected models are shared by all rules, so the policy of one does not affect them."""
    world = partial_world(rule("Uses", policies=USE))
    world.source.partial = False
    world.tick({A: 0.1, B: 0.1})
    world.source.partial = True
    world.tick({A: 0.1})
    (expected,) = world.state.groups["g"].expected_models.values()
    assert not expected.live.missing_since.any()


@pytest.mark.parametrize(("policy", "requested"), [("keep", False), ("ok", False), ("fire", True)])
def test_the_other_policies_decide_without_the_numbers(policy: str, requested: bool) -> None:
    """They apply to models that the rule has seen before."""
    world = World(group(rule(policies={Cause.PARTIAL: policy})))
    world.tick({A: 0.1})
    world.source.partial = True
    world.tick({A: 0.1})
    assert bool(world.states()) == requested


def test_every_evaluation_counts_once_by_its_worst_answer() -> None:
    """Complete, failed, partial; a rule on two signals counts the worse one."""
    both = tuple(Condition(name, StrategySpec("threshold", {"max": 0.6})) for name in ("drift", "other"))
    world = World(group(rule("One"), rule("Both", conditions=both)))
    assert world.tick({A: 0.1}).answers == {"One": "whole", "Both": "whole"}
    world.say(QUERY_FAILED, signal="other")
    assert world.tick({A: 0.1}).answers == {"One": "whole", "Both": "failed"}
    world.source.partial = True
    assert world.tick({A: 0.1}).answers == {"One": "partial", "Both": "partial"}
