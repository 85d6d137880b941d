"""Reasons of an evaluation, in words."""

from __future__ import annotations

import pytest

from bridge.domain.rule import Breaches, Condition, Rule, StrategySpec
from bridge.domain.times import SECOND
from bridge.domain.verdict import Cause
from tests.support.world import QUERY_FAILED, A, B, World, group, rule

LIMIT = StrategySpec("threshold", {"max": 0.6})


def reasons(*rules: Rule, ticks: int = 1) -> tuple[World, list[str]]:
    """Return the reasons of the requests after some slots in which A is breached."""
    world = World(group(*rules))
    for _ in range(ticks):
        world.tick({A: 0.9, B: 0.1})
    return world, [item.request.reason for item in world.requests()]


@pytest.mark.parametrize(
    ("one", "ticks", "reason"),
    [
        (rule(), 1, "Drifted: drift 0.9 above 0.6"),
        (rule(for_=10 * SECOND), 2, "Drifted: drift 0.9 above 0.6 for 10s"),
        (
            rule(breaches=Breaches(2, 3)), 2,
            "Drifted: drift 0.9 above 0.6, breached in 2 of the last 3 slots",
        ),
    ],
)  # fmt: skip
def test_a_reason_has_the_sample_and_its_limit(one: Rule, ticks: int, reason: str) -> None:
    assert reasons(one, ticks=ticks)[1] == [reason]


def test_a_plain_expression_holds_with_its_value() -> None:
    world = World(group(rule(limit=None)))
    world.tick({A: 0.9})
    assert [item.request.reason for item in world.requests()] == ["Drifted: drift holds, value 0.9"]


def test_a_pending_reason_has_the_required_duration() -> None:
    world, requests = reasons(rule(for_=20 * SECOND))
    assert requests == []
    (decision,) = [item for item in world.decisions() if item.model == A]
    assert decision.reason == "Drifted: drift 0.9 above 0.6, must last for 20s"


def test_every_condition_is_named() -> None:
    both = (Condition("drift", LIMIT), Condition("errors", LIMIT))
    composite = Rule("Both", "g", "drift", None, conditions=both, at_least=2)
    world = World(group(composite))
    world.say({A: 0.8}, signal="errors")
    world.tick({A: 0.9})
    (request,) = world.requests()
    assert request.request.reason.startswith("Both: ")
    assert "0.9" in request.request.reason
    assert "0.8" in request.request.reason
    assert "; " in request.request.reason


def test_an_inconclusive_verdict_that_counts_as_a_breach_has_its_cause() -> None:
    world = World(group(rule(policies={Cause.QUERY_ERROR: "fire", Cause.NO_DATA: "fire"})))
    world.tick({A: 0.1})
    world.tick(QUERY_FAILED)
    (request,) = world.requests()
    assert request.request.reason == "Drifted: drift is inconclusive: query_error, which this rule treats as a breach"
