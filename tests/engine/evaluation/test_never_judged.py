"""Models with samples but no verdict for a long time are reported."""

from __future__ import annotations

import numpy as np

from bridge.domain.batch import EventBatch
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, rfc3339
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.api.explain import Explainer
from bridge.engine.evaluation.never_judged import JUDGED, note, overdue, patience_of
from bridge.strategies.base import RetrainStrategy, StateColumn
from bridge.strategies.registry import build
from tests.engine.api.test_queries import queries
from tests.support.world import A, B, C, World, group, rule

NAN = float("nan")


class OnlyLarge(RetrainStrategy):
    """Strategy that is inconclusive for values below one."""

    name = "only_large"

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        values = batch.values()
        verdicts = Verdicts.inconclusive(len(batch), Cause.WARMING_UP)
        verdicts.cause[np.isnan(values)] = Cause.NAN
        verdicts.code[values >= 1], verdicts.cause[values >= 1] = Code.OK, Cause.NONE
        return verdicts


def silent_world() -> World:
    """Return a world with one rule on that strategy and hourly slots."""
    world = World(group(rule(), interval=HOUR))
    world.rule("Drifted").strategy = OnlyLarge()
    return world


def test_numbers_without_a_verdict_are_counted_from_the_first_one() -> None:
    """Slots without a sample do not count; one verdict is enough forever."""
    since = np.zeros(4, np.int64)
    unknown = np.full(4, Code.INCONCLUSIVE, np.int8)
    note(since, unknown, np.array([Cause.NO_DATA, Cause.NAN, Cause.WARMING_UP, Cause.STALE], np.int8), 10)
    assert since.tolist() == [0, 0, 10, 10]
    code = np.array([Code.INCONCLUSIVE, Code.OK, Code.INCONCLUSIVE, Code.BREACHED], np.int8)
    note(since, code, np.array([Cause.INSUFFICIENT, 0, Cause.WARMING_UP, 0], np.int8), 20)
    assert since.tolist() == [20, JUDGED, 10, JUDGED]
    note(since, unknown, np.full(4, Cause.WARMING_UP, np.int8), 30)
    assert since.tolist() == [20, JUDGED, 10, JUDGED]
    assert overdue(since, 30, 10).tolist() == [2]
    assert overdue(since, 31, 10).tolist() == [0, 2]


def test_a_strategy_has_two_warm_ups_and_a_day_at_least() -> None:
    """The slowest strategy or the rule decides."""
    auto, limit = build(StrategySpec("auto", {})), build(StrategySpec("threshold", {"max": 1}))
    assert patience_of([limit], 0) == DAY
    assert patience_of([limit], 3 * DAY) == 6 * DAY
    assert patience_of([limit, auto, None], 13 * HOUR) == 26 * HOUR
    for name, params, warm_up in (
        ("burn_rate", {"slo": 0.99}, 36 * HOUR),
        ("ewma", {"standardise": {"reference": "version", "warm_up": "2d"}}, 2 * DAY),
        ("ewma", {"standardise": {"season": "week", "warm_up": "2d"}}, 9 * DAY),
        ("ewma", {"standardise": {"reference": "fixed", "level": 1, "spread": 1, "whiten": False}}, 0),
        ("ewma", {"standardise": {"reference": "fixed", "level": 1, "spread": 1}}, DAY),
        ("vote", {"at_least": 1, "of": [{"auto": {}}, {"threshold": {"max": 1}}]}, 4 * HOUR),
        ("decay", {"min": 0.9, "window": "8d", "min_coverage": 0.5, "lead_time": "1d"}, 4 * DAY),
    ):  # fmt: skip
        assert build(StrategySpec(name, params)).warm_up == warm_up, name


def test_explain_names_the_time_of_the_first_verdict_of_a_model_that_warms_up() -> None:
    """The first sample plus the warm-up of the strategy; nothing where the strategy states none."""
    world = silent_world()
    strategy = OnlyLarge()
    world.rule("Drifted").strategy = strategy
    world.tick({A: 0.1})
    explainer = Explainer(world.engine, world.store, lambda _: "http://p:9090")
    assert explainer.explain(A, "", 0)[0].answer == "verdict: inconclusive: warming_up; the state is kept"
    strategy.warm_up = 8 * HOUR
    world.tick({A: 0.1})
    first = rfc3339(world.now - HOUR + 8 * HOUR)
    assert explainer.explain(A, "", 0)[0].answer == (
        "verdict: inconclusive: warming_up; the state is kept; nothing can be seen yet: verdicts are expected from"
        f" {first} on, after 8h of values"
    )


def test_models_with_numbers_and_no_verdict_are_counted_and_explained() -> None:
    """A has no verdict, B has no sample, C had one verdict."""
    world = silent_world()
    world.tick({A: 0.1, B: NAN, C: 1.0})
    for _ in range(24):
        world.tick({A: 0.1, B: NAN, C: 0.1})
    assert queries(world).never_judged() == [("g", "Drifted", 0)]
    world.tick({A: 0.1, B: NAN, C: 0.1})
    assert queries(world).never_judged() == [("g", "Drifted", 1)]
    explainer = Explainer(world.engine, world.store, lambda _: "http://p:9090")
    answers = {model: explainer.explain(model, "", 0)[0].answer for model in (A, B, C)}
    assert answers[A] == (
        "verdict: inconclusive: warming_up; the state is kept; there have been values for 1d1h without a verdict, which"
        " should take at most 1d"
    )
    assert "without a verdict" not in answers[B] + answers[C]
    world.tick({A: 1.0, B: NAN, C: 0.1})
    assert queries(world).never_judged() == [("g", "Drifted", 0)]
