"""`fdr` in the engine: what may be chance among so many models starts nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.verdict import Verdicts
from bridge.engine.api.explain import Explainer
from bridge.strategies.base import StateColumn
from bridge.strategies.threshold import ThresholdStrategy
from tests.support.world import A, B, C, World, group, rule

judged = ThresholdStrategy.analyse_batch


def with_p(self: ThresholdStrategy, batch: EventBatch, state: StateColumn | None) -> Verdicts:
    """A drift of 0.97 has the p-value 0.03."""
    return replace(judged(self, batch, state), p=1 - batch.values())


@pytest.fixture(autouse=True)
def _p_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ThresholdStrategy, "analyse_batch", with_p)


def test_a_breach_counts_by_how_many_models_were_evaluated() -> None:
    """0.03 is asked for of one model, and not of three when the other two are healthy."""
    alone, among = World(group(rule(fdr=0.05))), World(group(rule(fdr=0.05)))
    alone.tick({A: 0.97})
    among.tick({A: 0.97, B: 0.1, C: 0.2})
    assert [str(record.request.model) for record in alone.requests()] == [str(A)]
    assert among.requests() == []


def test_a_model_that_fires_continues_when_its_breach_alone_would_not_start_it() -> None:
    """Which models are beside it may change from slot to slot; its episode does not end by that."""
    world = World(group(rule(fdr=0.05)))
    world.tick({A: 0.999, B: 0.1, C: 0.2})
    world.tick({A: 0.97, B: 0.1, C: 0.2})
    assert world.outcomes() == [f"{A} requested"]
    world.tick({A: 0.1, B: 0.1, C: 0.2})
    assert world.outcomes() == [f"{A} requested", f"{A} none"]


def test_the_reason_has_the_p_value_and_the_number_of_models() -> None:
    """In the request's reason, and in the explanation of a breach that started nothing."""
    world = World(group(rule(fdr=0.05)))
    world.tick({A: 0.999, B: 0.97, C: 0.2})
    assert [record.request.reason for record in world.requests()] == [
        "Drifted: drift 0.999 above 0.6, p 0.001 among 3 models with fdr 0.05",
        "Drifted: drift 0.97 above 0.6, p 0.03 among 3 models with fdr 0.05",
    ]
    world.tick({A: 0.2, B: 0.2, C: 0.97})
    (found,) = Explainer(world.engine, world.store, lambda _: "http://p:9090").explain(C, "", 0)
    assert found.answer == "verdict: band: drift 0.97, limit 0.6, p 0.03 among 3 models with fdr 0.05"


def test_a_rule_that_begins_to_look_at_all_models_is_another_one() -> None:
    """What fired by itself is not taken over."""
    one, many = rule(), rule(fdr=0.05)
    assert group(one).fingerprint(one) != group(many).fingerprint(many)
