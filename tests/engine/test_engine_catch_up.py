"""Slots that nobody evaluated: counted, caught up, and decided as an uninterrupted run would have."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError, StoreFullError, StrategyError
from bridge.domain.request import request_id
from bridge.domain.rule import Cooldown, Rule, StrategySpec
from bridge.domain.times import HOUR, SECOND
from bridge.domain.verdict import Cause, Verdicts
from bridge.engine.evaluation.rule import RuleEvaluator
from tests.support.world import QUERY_FAILED, A, B, World, group, rule


def test_an_episode_still_open_after_a_gap_makes_one_request_marked_late() -> None:
    """It began in the second missed slot: that is its start, and its trigger."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    began = world.now + 20 * SECOND
    world.pass_slots({A: 0.1}, {A: 0.7}, {A: 0.7})
    world.restart()
    report = world.tick({A: 0.7})
    (record,) = world.requests()
    assert (record.state, record.request.late, record.request.episode_start) == ("requested", True, began)
    assert record.request.triggered_at == began
    assert report.missed == 3


def test_an_episode_that_ended_inside_a_gap_is_recorded_and_not_sent() -> None:
    """Nobody retrains a model for what is over."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    world.pass_slots({A: 0.7}, {A: 0.1})
    world.restart()
    world.tick({A: 0.1})
    (record,) = world.requests()
    assert record.state == "missed"
    assert world.store.deliveries(record.id) == []
    assert [(item.before, item.after, item.outcome) for item in world.decisions()] == [
        ("pending", "firing", "none"), ("firing", "inactive", "none"), ("firing", "inactive", "missed"),
    ]  # fmt: skip


def test_for_continues_counting_over_a_gap() -> None:
    """for: 30s, of which the bridge was up for one slot: it fires in the slot in which it would have."""
    world = World(group(rule(for_=30 * SECOND)))
    world.tick({A: 0.7})
    began = world.now
    world.pass_slots({A: 0.7}, {A: 0.7})
    world.restart()
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert record.request.episode_start == began + 30 * SECOND
    assert record.request.late is False


def test_a_gap_beyond_the_limit_counts_towards_nothing() -> None:
    """Two hours down with a limit of one: `for` does not count the hour that nobody will look at."""
    world = World(group(rule(for_=90 * 60 * SECOND), interval=600 * SECOND))
    world.tick({A: 0.7})
    world.pass_slots(*[{A: 0.7}] * 12)
    report = world.tick({A: 0.7})
    assert report.missed == 5
    assert world.requests() == []


def test_a_source_that_fails_while_catching_up_freezes_the_rule() -> None:
    """Missed slots that cannot be had are slots without an answer; nothing is resolved."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.pass_slots(QUERY_FAILED, {A: 0.1})
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_the_same_slot_is_evaluated_once() -> None:
    """A second start within the slot finds it stored."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.restart()
    assert world.engine.evaluate("g", world.now + 5 * SECOND) is None


def test_a_tick_that_cannot_be_stored_changes_nothing_and_is_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full for one slot: no state moved in memory, and the next tick evaluates both slots."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    with monkeypatch.context() as patch:
        patch.setattr(world.store, "commit", _full)
        with pytest.raises(StoreFullError):
            world.tick({A: 0.7, B: 0.9})
    assert world.state.episode_index.episodes == {}
    report = world.tick({A: 0.1, B: 0.9})
    assert report.missed == 1
    assert world.states() == [(A, "missed"), (B, "requested")]


def _full(changes: object) -> None:
    raise StoreFullError("no space left")


def test_the_query_is_made_at_slot_minus_offset() -> None:
    """query_offset moves the question, not the slot."""
    world = World(group(rule(), offset=30 * SECOND))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert world.source.asked == [("drift", world.now - 30 * SECOND)]
    assert record.request.triggered_at == world.now


def test_a_first_start_looks_at_the_present_only() -> None:
    """Without a stored slot there is nothing to catch up."""
    world = World(group(rule()))
    world.now += 5 * HOUR
    report = world.tick({A: 0.7})
    assert (report.missed, len(world.source.asked)) == (0, 1)


def test_an_episode_found_while_catching_up_is_requested_though_the_present_slot_cannot_be_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The strategy raises in the slot in which the late request is due: the rule is still firing, so it is made."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    began = world.now + 10 * SECOND
    world.pass_slots({A: 0.7})
    (run,) = world.state.rules.values()
    judge, last = type(run)._judge, world.now + 10 * SECOND

    def failing(self: RuleEvaluator, batch: EventBatch, *rest: Any) -> Verdicts:
        if batch.slot == last:
            raise StrategyError("broken")
        return judge(self, batch, *rest)

    monkeypatch.setattr(RuleEvaluator, "_judge", failing)
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert (record.state, record.request.late, record.request.episode_start) == ("requested", True, began)
    assert record.id == request_id(A, "Drifted", began, 1)
    fired, decision = [item for item in world.decisions() if item.request_id]
    assert (fired.slot, fired.before, fired.after, fired.value) == (began, "pending", "firing", 0.7)
    assert fired.reason == "Drifted: drift 0.7 above 0.6; found late"
    assert (decision.slot, decision.outcome) == (world.now, "requested")
    assert decision.reason == "Drifted: drift 0.7 above 0.6; caught up after downtime"
    world.tick({A: 0.7})
    assert world.requests() == [record]


def test_missed_slots_wait_until_the_source_answers() -> None:
    """The bridge is up before Prometheus is: what happened in the downtime and since is found when it answers."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    began = world.now + 10 * SECOND
    world.pass_slots({A: 0.7}, {A: 0.7})
    world.restart()
    world.source.down = QUERY_FAILED
    for _ in range(3):
        report = world.tick({A: 0.7})
        assert (report.missed, len(report.queries), report.errors) == (0, 1, {"Drifted": QUERY_FAILED.fault})
        assert world.rule("Drifted").health == "err"
        assert world.requests() == []
        assert world.engine.evaluate("g", world.now) is None
    world.source.down = None
    report = world.tick({A: 0.7})
    (record,) = world.requests()
    assert (record.request.late, record.request.episode_start) == (True, began)
    assert report.missed == 5
    assert world.tick({A: 0.7}).missed == 0
    assert [item.reason for item in world.decisions() if item.model is None] == [
        QUERY_FAILED.fault, "answered again after 3 failed evaluations; states were kept meanwhile",
    ]  # fmt: skip


@pytest.mark.parametrize("event", ["restart", "reload"])
def test_slots_that_wait_survive_a_restart_and_a_reload(event: str) -> None:
    """Stored is the last slot that was queried."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    world.pass_slots({A: 0.7}, {A: 0.1})
    world.restart()
    world.source.down = QUERY_FAILED
    world.tick({A: 0.1})
    if event == "restart":
        world.restart()
    else:
        world.reconfigure(group(rule()))
    world.source.down = None
    world.tick({A: 0.1})
    assert world.states() == [(A, "missed")]


def test_slots_that_wait_are_caught_up_as_far_back_as_the_limit() -> None:
    """A source that answers after two hours: the last hour is evaluated."""
    world = World(group(rule(for_=90 * 60 * SECOND), interval=600 * SECOND))
    world.tick({A: 0.7})
    world.pass_slots({A: 0.7})
    world.restart()
    world.source.down = QUERY_FAILED
    for _ in range(12):
        world.tick({A: 0.7})
    world.source.down = None
    assert world.tick({A: 0.7}).missed == 5
    assert world.requests() == []


def test_a_strategy_reads_each_slot_that_waited_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state is stored with the last slot that was queried, also while slots wait."""
    world = World(group(Rule("Jumps", "g", "drift", StrategySpec("ewma", {}), cooldown=Cooldown(0))))
    read: list[int] = []
    judge = RuleEvaluator._judge

    def noted(self: RuleEvaluator, batch: EventBatch, *rest: Any) -> Verdicts:
        read.append(batch.slot)
        return judge(self, batch, *rest)

    monkeypatch.setattr(RuleEvaluator, "_judge", noted)
    world.tick({A: 0.1})
    start = world.now
    world.pass_slots({A: 0.2})
    for down in (True, True, False):
        world.restart()
        world.source.down = QUERY_FAILED if down else None
        world.tick({A: 0.2})
    assert read == list(range(start, world.now + 1, 10 * SECOND))


@pytest.mark.parametrize("policy", ["ok", "fire"])
def test_a_policy_for_failed_queries_decides_the_missed_slots_too(policy: str) -> None:
    """The rule says what a failed query means, so nothing waits for its answer."""
    world = World(group(rule(policies={Cause.QUERY_ERROR: policy})))
    world.tick({A: 0.1})
    world.pass_slots({A: 0.7})
    world.restart()
    world.source.down = QUERY_FAILED
    assert world.tick().missed == 1


def test_no_slot_waits_for_a_query_that_cannot_be_executed() -> None:
    """Prometheus answers: the vectors cannot be matched, which no later evaluation changes."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    world.pass_slots({A: 0.7}, {A: 0.7})
    world.restart()
    world.source.down = SourceError("many-to-many matching not allowed", reason="execution", transient=True)
    assert world.tick({A: 0.7}).missed == 2
    assert world.store.load(0).slots == {"g": world.now}


def test_a_group_without_rules_waits_for_nothing() -> None:
    """It has no queries that could fail."""
    world = World(group())
    world.tick()
    world.pass_slots({}, {})
    assert [world.tick().missed, world.tick().missed] == [2, 0]


def test_a_group_does_not_wait_for_one_of_its_servers() -> None:
    """The rules on the other signals are evaluated on time."""
    world = World(group(rule(), rule("Errors", query="errors")))
    world.tick({A: 0.1})
    world.pass_slots({A: 0.7})
    world.say(QUERY_FAILED, signal="errors")
    assert world.tick({A: 0.7}).missed == 1
    assert world.states() == [(A, "requested")]


def test_an_error_that_a_retry_does_not_mend_is_not_waited_for() -> None:
    """A query that Prometheus refuses is refused for every slot."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    world.pass_slots({A: 0.7})
    world.restart()
    world.source.down = SourceError("HTTP 400: parse error", reason="bad_data", transient=False)
    assert world.tick().missed == 1
