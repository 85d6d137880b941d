"""Feedback on requests: kept with who gave it, counted by rule, and without effect on what the engine does."""

from __future__ import annotations

import pytest

from bridge.domain.errors import UnknownRequestError
from bridge.domain.request import Feedback
from bridge.domain.rule import Budget, Gates
from bridge.domain.times import DAY, HOUR
from tests.support.world import A, B, World, group, rule


def test_the_latest_opinion_counts_and_every_one_is_kept() -> None:
    """Also after a restart, and on a request that is over."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (record,) = world.requests()
    world.commands.feedback(record.id, Feedback.FALSE, "ada", "a blip")
    world.restart()
    world.report(record.id, "succeeded")
    said = world.commands.feedback(record.id, Feedback.LATE, "bob")
    assert (said.feedback, said.state) == ("late", "succeeded")
    assert [(act.what, act.who, act.note) for act in said.acts] == [("false", "ada", "a blip"), ("late", "bob", "")]
    assert world.store.feedback() == {"Drifted": {Feedback.LATE: 1}}
    assert [item.reason for item in world.decisions()][-2:] == [
        "feedback of ada: false: a blip",
        "feedback of bob: late",
    ]


def test_an_unknown_request_is_an_error() -> None:
    """Nothing is recorded."""
    world = World(group(rule()))
    with pytest.raises(UnknownRequestError):
        world.commands.feedback("0" * 32, Feedback.USEFUL, "ada")


def test_feedback_on_an_old_request_uses_no_budget() -> None:
    """The engine has forgotten the request; a second one of the day is not held."""
    world = World(group(rule()), gates=Gates(settle=0, per_pipeline=Budget(2, DAY)))
    world.tick({A: 0.7})
    first = world.requests()[0]
    world.report(first.id, "succeeded")
    world.tick({A: 0.1})
    world.now += HOUR
    world.tick({A: 0.1, B: 0.1})
    world.commands.feedback(first.id, Feedback.USEFUL, "ada")
    world.commands.feedback(first.id, Feedback.USEFUL, "ada")
    world.tick({A: 0.7})
    assert [state for _, state in world.states()] == ["succeeded", "requested"]


def test_feedback_does_not_act_on_a_request() -> None:
    """`false` on a held request is no withdrawal."""
    world = World(group(rule(approval=True)))
    world.tick({A: 0.7})
    world.commands.feedback(world.requests()[0].id, Feedback.FALSE, "ada")
    world.tick({A: 0.7})
    assert world.states() == [(A, "awaiting_approval")]
