"""Decision records: their numbers, queries and outcomes."""

from __future__ import annotations

import pytest

from bridge.domain.request import HoldReason, Outcome, RequestRecord, RequestState
from bridge.domain.rule import Condition, StrategySpec
from bridge.domain.times import SECOND
from bridge.engine.evaluation.evaluation import none_if_nan, query_text
from bridge.engine.requests import decision_log
from tests.support.notifications import request
from tests.support.world import A, World, group, rule


def test_a_record_carries_the_numbers_that_explain_it() -> None:
    """Verdict, sample, limit, query and its time."""
    world = World(group(rule(), offset=5 * SECOND))
    world.tick({A: 0.7})
    (decision,) = world.decisions()
    assert (decision.rule, decision.model, decision.outcome) == ("Drifted", A, Outcome.REQUESTED)
    assert (decision.before, decision.after, decision.verdict) == ("pending", "firing", "breached")
    assert (decision.value, decision.threshold) == (0.7, 0.6)
    assert (decision.query, decision.query_time) == ("drift", world.now - 5 * SECOND)
    assert decision.request_id == world.requests()[0].id


@pytest.mark.parametrize(
    ("state", "hold", "expected"),
    [
        (RequestState.REQUESTED, None, Outcome.REQUESTED),
        (RequestState.RECORDED, None, Outcome.RECORDED),
        (RequestState.HELD, HoldReason.COOLDOWN, Outcome.HELD),
        (RequestState.AWAITING_APPROVAL, HoldReason.APPROVAL, Outcome.HELD),
        (RequestState.HELD, HoldReason.ATTEMPTS, Outcome.ESCALATED),
    ],
)
def test_the_outcome_follows_from_the_gates(state: RequestState, hold: HoldReason | None, expected: Outcome) -> None:
    """A request that needs a person is escalated, every other held one is held."""
    assert decision_log.outcome(RequestRecord(request(), state, 0, hold=hold)) is expected


def test_a_composite_rule_names_its_queries() -> None:
    """A rule with one query shows it alone."""
    limit = StrategySpec("threshold", {"max": 0.6})
    both = rule("Both", limit=None, conditions=(Condition("drift", limit), Condition("errors", limit)), at_least=2)
    runs = World(group(rule(), both)).state.rules
    texts = {name: query_text(run.rule, run.queries) for name, run in runs.items()}
    assert texts == {"Drifted": "drift", "Both": "drift.value: drift\nerrors.value: errors"}


def test_a_missing_number_is_none() -> None:
    """Decisions never hold a NaN."""
    assert (none_if_nan(float("nan")), none_if_nan(0.5)) == (None, 0.5)
