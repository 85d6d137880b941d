"""Composite rules over several signals of one model, and `alert:` rules."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.rule import Condition, Mode, Rule, RuleKind, StrategySpec
from bridge.domain.times import SECOND
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.conditions import ConditionColumns, combine
from tests.support.world import QUERY_FAILED, A, B, World, group, rule

SLOW = Condition("latency", StrategySpec("threshold", {"max": 0.2, "clear": 0.1}))
DRIFTS = Condition("drift", StrategySpec("threshold", {"max": 0.6}))
ERRS = Condition("errors", StrategySpec("threshold", {"max": 0.1}))


def composite(name: str, *conditions: Condition, at_least: int = 0, **more: object) -> Rule:
    return rule(
        name, query=conditions[0].query, limit=None, conditions=conditions,
        at_least=at_least or len(conditions), **more,
    )  # fmt: skip


def slot(world: World, **answers: object) -> None:
    for signal, answer in answers.items():
        world.say(answer, signal=signal)  # type: ignore[arg-type]
    world.tick()


def test_all_conditions_of_one_model_have_to_hold() -> None:
    """Both signals of A exceed their limits, only one at a time of B."""
    world = World(group(composite("Both", SLOW, DRIFTS)))
    slot(world, latency={A: 0.3, B: 0.3}, drift={A: 0.7, B: 0.1})
    slot(world, latency={A: 0.3, B: 0.05}, drift={A: 0.7, B: 0.8})
    (record,) = world.requests()
    assert record.request.model == A
    assert record.request.reason == "Both: drift latency 0.3 above 0.2; drift 0.7 above 0.6"
    assert [(item.signal, item.value, item.threshold) for item in record.request.evidence] == [
        ("latency", 0.3, 0.2),
        ("drift", 0.7, 0.6),
    ]


def test_any_condition_is_enough() -> None:
    """One condition fires the rule; it resolves when none holds."""
    world = World(group(composite("Either", SLOW, DRIFTS, at_least=1)))
    slot(world, latency={A: 0.05}, drift={A: 0.7})
    slot(world, latency={A: 0.3}, drift={A: 0.1})
    assert len(world.state.episode_index.episodes) == 1
    slot(world, latency={A: 0.05}, drift={A: 0.1})
    assert world.state.episode_index.episodes == {}


def test_at_least_two_of_three() -> None:
    """Counted per model and slot."""
    world = World(group(composite("Most", SLOW, DRIFTS, ERRS, at_least=2)))
    slot(world, latency={A: 0.3, B: 0.3}, drift={A: 0.7, B: 0.1}, errors={A: 0.0, B: 0.0})
    assert [item.request.model for item in world.requests()] == [A]


def test_a_signal_without_an_answer_decides_nothing_that_it_could_change() -> None:
    """`any` is conclusive if the other condition holds; `all` is not."""
    for at_least, expected in ((1, 1), (2, 0)):
        world = World(group(composite("Two", SLOW, DRIFTS, at_least=at_least)))
        slot(world, latency={A: 0.3}, drift=QUERY_FAILED)
        assert len(world.requests()) == expected


def test_a_failing_signal_resolves_nothing() -> None:
    """A firing composite rule keeps its state while one of its queries fails."""
    world = World(group(composite("Both", SLOW, DRIFTS)))
    slot(world, latency={A: 0.3}, drift={A: 0.7})
    for _ in range(3):
        slot(world, latency=QUERY_FAILED, drift={A: 0.7})
    assert list(world.state.episode_index.episodes) == [A]
    assert world.decisions()[-1].outcome == "error"


def test_slow_while_drift_is_healthy_notifies_and_requests_nothing() -> None:
    """`healthy` without a strategy takes the verdict of the group's own rule on that signal."""
    alert_rule = composite("SlowButHealthy", SLOW, Condition("drift", healthy=True), kind=RuleKind.ALERT)
    world = World(group(alert_rule, rule("Drifted")))
    slot(world, latency={A: 0.3, B: 0.3}, drift={A: 0.1, B: 0.7})
    assert [(item.model, item.rule, item.outcome) for item in world.decisions()] == [
        (A, "SlowButHealthy", "notified"),
        (B, "Drifted", "requested"),
    ]
    assert world.decisions()[0].reason == "SlowButHealthy: drift latency 0.3 above 0.2; drift healthy"
    assert list(world.state.episode_index.episodes) == [B]


def test_a_model_whose_rule_is_kept_firing_is_not_healthy() -> None:
    """Within keep_firing_for the other rule has not resolved, so drift is not healthy yet."""
    alert_rule = composite("SlowButHealthy", SLOW, Condition("drift", healthy=True), kind=RuleKind.ALERT)
    world = World(group(alert_rule, rule("Drifted", keep_firing_for=20 * SECOND)))
    slot(world, latency={A: 0.05}, drift={A: 0.7})
    for _ in range(2):
        slot(world, latency={A: 0.3}, drift={A: 0.1})
    assert [item.outcome for item in world.decisions() if item.rule == "SlowButHealthy"] == []
    slot(world, latency={A: 0.3}, drift={A: 0.1})
    assert [item.outcome for item in world.decisions() if item.rule == "SlowButHealthy"] == ["notified"]


def test_no_model_is_healthy_while_its_rule_is_not_evaluated() -> None:
    """Its query failed, so the composite rule is inconclusive too."""
    alert_rule = composite("SlowButHealthy", SLOW, Condition("drift", healthy=True), kind=RuleKind.ALERT)
    world = World(group(alert_rule, rule("Drifted")))
    slot(world, latency={A: 0.3}, drift=QUERY_FAILED)
    assert [item.outcome for item in world.decisions() if item.rule == "SlowButHealthy" and item.model] == []


def test_healthy_with_a_strategy_is_its_opposite() -> None:
    """A model in the band is not healthy yet."""
    world = World(group(composite("DriftsThoughFast", DRIFTS, Condition("latency", SLOW.strategy, healthy=True))))
    slot(world, drift={A: 0.7, B: 0.7}, latency={A: 0.05, B: 0.15})
    assert [item.request.model for item in world.requests()] == [A]


def test_a_composite_rule_continues_after_a_restart() -> None:
    """Pending time is kept, and the model stays known although it no longer reports."""
    world = World(group(composite("Both", SLOW, DRIFTS, for_=20 * SECOND)))
    slot(world, latency={A: 0.3}, drift={A: 0.7})
    world.restart()
    slot(world, latency={A: 0.3}, drift={A: 0.7})
    assert world.requests() == []
    slot(world, latency={A: 0.3}, drift={A: 0.7})
    assert [item.request.model for item in world.requests()] == [A]


def test_an_alert_rule_ends_without_an_episode() -> None:
    """It fires, resolves, and records two decisions."""
    world = World(group(rule("Told", kind=RuleKind.ALERT)))
    for value in (0.7, 0.7, 0.1):
        world.tick({A: value})
    assert [(item.outcome, item.after) for item in world.decisions()] == [("notified", "firing"), ("none", "inactive")]
    assert world.requests() == []


def test_a_shadow_composite_requests_nothing() -> None:
    """The mode applies to every kind of rule."""
    world = World(group(composite("Both", SLOW, DRIFTS, mode=Mode.SHADOW)))
    slot(world, latency={A: 0.3}, drift={A: 0.7})
    assert (world.requests(), [item.outcome for item in world.decisions()]) == ([], ["recorded"])


G, X, N, U = Code.OK, Code.BREACHED, Code.BAND, Code.INCONCLUSIVE


@pytest.mark.parametrize(
    ("codes", "at_least", "expected"),
    [
        ((X, X), 2, X), ((X, G), 2, G), ((X, N), 2, N), ((N, N), 2, N), ((X, U), 2, U), ((G, U), 2, G), ((U, U), 2, U),
        ((X, U), 1, X), ((G, U), 1, U), ((G, G), 1, G), ((G, N), 1, N), ((N, U), 1, U), ((X, N), 1, X),
        ((X, X, U), 2, X), ((X, G, U), 2, U), ((G, G, U), 2, G), ((X, N, G), 2, N), ((X, N, U), 2, U),
    ],
)  # fmt: skip
def test_conditions_are_counted_in_three_valued_logic(codes: tuple[Code, ...], at_least: int, expected: Code) -> None:
    """The result is conclusive only if no value of the inconclusive conditions could change it."""
    parts = []
    for code in codes:
        cause = Cause.NAN if code is U else Cause.NONE
        parts.append(
            ConditionColumns(np.array([code], np.int8), np.array([cause], np.int8), np.zeros(1), np.zeros(1), None)
        )
    code, cause = combine(parts, at_least)  # type: ignore[assignment]
    assert (code.tolist(), cause.tolist()) == ([expected], [Cause.NAN if expected is U else Cause.NONE])  # type: ignore[attr-defined]
