"""Episodes, gates and decisions of a group."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from bridge.domain.limits import LARGEST_REQUEST
from bridge.domain.rule import Gates
from bridge.domain.times import DAY, HOUR, SECOND
from bridge.domain.truncation import size
from bridge.engine.steps import Judgements
from bridge.ports import Kind, Run, RunState
from tests.support.world import QUERY_FAILED, A, B, C, FixedRoutes, World, group, rule


def test_rules_that_fire_together_make_one_request_led_by_the_first_in_file_order() -> None:
    """Id, labels and annotations are the leader's; the reasons name both rules."""
    first = rule("First", query="drift", labels={"severity": "page"})
    second = rule("Second", query="errors", limit=0.1)
    world = World(group(first, second))
    world.say({A: 0.7}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    (record,) = world.requests()
    assert record.request.rule == "First"
    assert record.request.labels == {"severity": "page"}
    assert record.request.reasons == ("First: drift 0.7 above 0.6", "Second: drift errors 0.3 above 0.1")
    assert [decision.outcome for decision in world.decisions()] == ["requested", "joined"]


def test_a_rule_that_fires_later_joins_the_open_request() -> None:
    """No second request; the episode links both rules and ends with the last of them."""
    world = World(group(rule("First"), rule("Second", query="errors", limit=0.1)), routes=FixedRoutes(reporting=False))
    world.say({A: 0.7}, signal="drift")
    world.tick({A: 0.0}, signal="errors")
    world.say({A: 0.7}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    world.say({A: 0.1}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    assert world.states() == [(A, "requested")]
    assert world.state.episode_index.episodes[A].rules == ("First", "Second")
    world.say({A: 0.1}, signal="drift")
    world.tick({A: 0.0}, signal="errors")
    assert world.states() == [(A, "closed")]
    assert A not in world.state.episode_index.episodes


def test_without_a_judgement_the_daemon_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one code path: every decision comes from a strategy's verdicts."""
    monkeypatch.setattr("bridge.engine.steps.judge", lambda tick, batches: Judgements())
    world = World(group(rule()))
    report = world.tick({A: 0.7})
    assert (world.requests(), report.decisions) == ([], {("Drifted", "error"): 1})


def test_two_models_of_one_pipeline_in_one_slot_are_taken_in_order() -> None:
    """Ties are broken by ModelKey: the lower version is sent, the other waits."""
    world = World(group(rule()))
    world.tick({C: 0.9, A: 0.7})
    assert sorted(world.states()) == [(A, "requested"), (C, "held")]


def test_a_pending_reason_does_not_claim_a_long_breach() -> None:
    """One decision records that `for` has begun, another that it has elapsed."""
    world = World(group(rule(for_=20 * SECOND)))
    for _ in range(3):
        world.tick({A: 0.7})
    first, second = world.decisions()
    assert (first.after, first.reason) == ("pending", "Drifted: drift 0.7 above 0.6, must last for 20s")
    assert (second.after, second.reason) == ("firing", "Drifted: drift 0.7 above 0.6 for 20s")


def test_a_hold_is_recorded_once_and_its_release_too() -> None:
    """Slots without a change have no record."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    for _ in range(3):
        world.tick({A: 0.7, C: 0.8})
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.1, C: 0.8})
    log = [(decision.outcome, decision.reason) for decision in world.decisions() if decision.model == C]
    assert [outcome for outcome, _ in log] == ["held", "requested"]
    assert log[-1][1] == "released: in_flight ended"


def test_a_request_held_for_too_long_expires_and_reports_it() -> None:
    """No request is held forever without a visible end."""
    gates = Gates(in_flight_limit=30 * DAY, hold_limit=2 * HOUR)
    world = World(group(rule(), interval=HOUR), gates=gates)
    world.tick({A: 0.7})
    for _ in range(4):
        world.tick({A: 0.7, C: 0.8})
    assert world.states() == [(A, "requested"), (C, "expired")]
    assert world.decisions()[-1].reason == "held for longer than hold_limit"


def test_a_cancelled_request_is_not_requested_again_in_its_episode() -> None:
    """A person cancelled it; the next episode may make a request."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "cancelled")
    for _ in range(3):
        world.tick({A: 0.7})
    assert world.states() == [(A, "cancelled")]


@pytest.mark.parametrize("state", ["failed", "lost", "cancelled"])
def test_after_a_cancellation_the_episode_makes_no_other_request(state: str) -> None:
    """The run may end by itself before the orchestrator cancels it."""
    world = World(group(rule()), routes=FixedRoutes(("team/run/0",)))
    world.tick({A: 0.7})
    id_ = world.requests()[0].id
    run = Run(id_, "team/run/0", "rb", "{}", world.now, RunState.RUNNING, sent_at=world.now, reference="r")
    world.store.save_run(run)
    world.commands.act(id_, "cancel", "ann")
    world.report(id_, state)
    for _ in range(3):
        world.tick({A: 0.7})
    assert world.states() == [(A, state)]


def test_a_destination_that_wants_the_end_is_notified_through_the_outbox() -> None:
    """send_resolved: one RESOLVED delivery after the FIRING one, for that destination only."""
    routes = FixedRoutes(("team/webhook/0", "team/alertmanager/0"), reporting=False, resolved=("team/webhook/0",))
    world = World(group(rule()), routes=routes)
    world.tick({A: 0.7})
    world.tick({A: 0.1})
    deliveries = {(item.destination, item.kind) for item in world.store.deliveries(world.requests()[0].id)}
    assert deliveries == {
        ("team/webhook/0", Kind.FIRING),
        ("team/webhook/0", Kind.RESOLVED),
        ("team/alertmanager/0", Kind.FIRING),
    }


def test_a_plain_expression_is_breached_by_presence_and_healthy_by_absence() -> None:
    """As in Prometheus, a series in the response fires, an absent one resolves."""
    world = World(group(rule("Pasted", limit=None)), routes=FixedRoutes(reporting=False))
    world.tick({A: 0.71})
    (record,) = world.requests()
    assert record.request.reason == "Pasted: drift holds, value 0.71"
    world.tick({})
    assert world.states() == [(A, "closed")]


def test_a_model_that_a_signal_no_longer_reports_stays_as_it_was_and_is_named() -> None:
    """A missing model is not healthy: it keeps firing, and one decision records no_data."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.1})
    for _ in range(3):
        world.tick({B: 0.1})
    assert world.states() == [(A, "requested")]
    assert world.outcomes() == [f"{A} requested", f"{A} inconclusive"]
    world.tick({A: 0.7, B: 0.1})
    assert world.decisions()[-1].reason == "conclusive again"


def test_a_partial_answer_freezes_the_rule() -> None:
    """Warnings say that series may be missing: absence resolves nothing, presence fires nothing."""
    world = World(group(rule("Pasted", limit=None)))
    world.tick({A: 0.7})
    world.source.partial = True
    report = world.tick({B: 0.8})
    assert world.states() == [(A, "requested")]
    assert report.errors == {"Pasted": "the answer is partial: truncated"}


def test_a_failing_query_is_recorded_when_it_begins_and_when_it_ends() -> None:
    """One decision each, with the count of failed evaluations."""
    world = World(group(rule()))
    for answer in ({A: 0.1}, QUERY_FAILED, QUERY_FAILED, QUERY_FAILED, {A: 0.1}):
        world.tick(answer)
    assert [(decision.outcome, decision.repeats) for decision in world.decisions()] == [("error", 0), ("none", 3)]


def test_a_removed_rule_ends_its_episodes() -> None:
    """The rule was removed: the episode ends with that reason, and receivers that want it are notified."""
    world = World(group(rule("Old")), routes=FixedRoutes(reporting=False))
    world.tick({A: 0.7})
    world.reconfigure(group(rule("New", limit=0.95)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert (record.state, record.message) == ("closed", "its rules were removed or changed")


def test_a_held_request_whose_leading_rule_was_removed_still_has_its_end() -> None:
    """The other rule of the episode keeps firing: it releases the request, or the request expires."""
    for flight_ends, state in ((True, "requested"), (False, "expired")):
        world = World(
            group(rule("First", cooldown=SECOND), rule("Second", query="errors", limit=0.1, cooldown=SECOND)),
            gates=Gates(hold_limit=30 * SECOND),
        )
        world.say({B: 0.7, A: 0.1}, signal="drift")
        world.tick({B: 0.0, A: 0.0}, signal="errors")
        world.say({C: 0.7}, signal="drift")
        world.tick({C: 0.3}, signal="errors")
        world.say({A: 0.7, C: 0.7}, signal="drift")
        world.tick({A: 0.3, C: 0.3}, signal="errors")
        assert (A, "held") in world.states()
        if flight_ends:
            world.report(next(item.id for item in world.requests() if item.request.model == C), "succeeded")
        world.reconfigure(group(rule("Second", query="errors", limit=0.1, cooldown=SECOND)))
        for _ in range(4):
            world.tick({A: 0.3, C: 0.0}, signal="errors")
        assert (A, state) in world.states()


def test_an_edit_that_keeps_the_meaning_keeps_the_state() -> None:
    """Another annotation or `for`: the episode continues after the reload."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.reconfigure(group(rule(annotations={"summary": "new"}, for_=60 * SECOND)))
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_an_edit_of_the_limit_starts_over() -> None:
    """State with another fingerprint does not belong to this rule."""
    world = World(group(rule(for_=20 * SECOND)))
    world.tick({A: 0.7})
    world.tick({A: 0.7})
    world.reconfigure(group(rule(limit=0.65, for_=20 * SECOND)))
    world.tick({A: 0.7})
    assert world.requests() == []
    world.restart()
    world.tick({A: 0.7})
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_a_status_report_that_is_older_than_what_is_known_changes_nothing() -> None:
    """Terminal states are final, running does not go back to accepted."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    id_ = world.requests()[0].id
    for state in ("running", "accepted", "succeeded", "failed"):
        world.report(id_, state)
    assert world.states() == [(A, "succeeded")]


def test_annotations_are_rendered_with_value_and_labels() -> None:
    """They are rendered as in Prometheus when the request is made."""
    text = "{{ $labels.pipeline }} at {{ $value }} over {{ $threshold }}"
    world = World(group(rule(annotations={"summary": text})))
    world.tick({A: 0.75})
    assert world.requests()[0].request.annotations == {"summary": "ranking at 0.75 over 0.6"}


def test_identical_queries_of_two_rules_are_sent_once() -> None:
    """One query per signal, not per rule: also if both rules contain the same expression."""
    base = group(rule("One", query="one", limit=None), rule("Two", query="two", limit=None))
    same = {name: replace(query, exprs={"value": "drift > 0.6"}) for name, query in base.queries.items()}
    world = World(replace(base, queries=same))
    report = world.tick({A: 0.7}, signal="one")
    assert len(world.source.asked) == 1
    assert report.decisions == {("One", "requested"): 1, ("Two", "joined"): 1}


def test_the_next_attempt_waits_for_the_cooldown_and_is_not_made_before() -> None:
    """Succeeded and still breached: no request is held or shown until the cooldown ends."""
    world = World(group(rule(cooldown=30 * SECOND)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "succeeded")
    for _ in range(2):
        world.tick({A: 0.7})
    assert world.states() == [(A, "succeeded")]
    world.tick({A: 0.7})
    assert world.states() == [(A, "succeeded"), (A, "requested")]


def test_a_request_of_enormous_evidence_is_stored_cut() -> None:
    """20 kB of PromQL, huge annotations and labels: the stored request fits every receiver's limit."""
    big = group(rule(query="x" * 70_000, annotations={"note": "n" * 50_000}))
    world = World(big)
    world.source.series = msgspec.json.encode({f"label_{number}": "v" * 100 for number in range(10_000)})
    world.tick({A: 0.7}, signal="x" * 70_000)
    (record,) = world.requests()
    assert size(record.request) <= LARGEST_REQUEST
    (seen,) = record.request.evidence
    assert seen.query.endswith(" of 70000 characters)")
    assert seen.series["_cut"].endswith("of 10000 labels)")
    assert (seen.value, record.state) == (0.7, "requested")
