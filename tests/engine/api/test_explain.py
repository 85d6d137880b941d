"""Explanation of why there was or was not a request."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridge.domain.errors import RequestError, SourceError
from bridge.domain.explain import Explanation, curl
from bridge.domain.matchers import Matcher
from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason, RequestState
from bridge.domain.rule import Gates, RuleKind, SharedCauses
from bridge.domain.silence import Silence
from bridge.domain.times import HOUR, SECOND, Timestamp, rfc3339
from bridge.engine.api.explain import Explainer
from bridge.engine.evaluation.group import REPLACED_AFTER
from bridge.ports import SilenceSnapshot, StatusReport
from tests.support.world import QUERY_FAILED, A, B, C, World, group, rule


def explain(world: World, model: ModelKey = A, at: Timestamp = 0, name: str = "") -> Explanation:
    (found,) = Explainer(world.engine, world.store, lambda _: "http://p:9090/x").explain(model, name, at)
    return found


def answers(world: World, *steps: object) -> list[str]:
    """Return the answer after each slot."""
    found = []
    for step in steps:
        world.tick(step)  # type: ignore[arg-type]
        found.append(explain(world).answer)
    return found


def test_the_first_check_that_does_not_lead_on_is_the_answer() -> None:
    """In order from the query to the request."""
    world = World(group(rule(for_=10 * SECOND)))
    assert explain(world).answer == "query: the rule has not been evaluated yet"
    told = answers(world, QUERY_FAILED, {B: 0.1}, {A: 0.1, B: 0.1}, {B: 0.1}, {A: 0.7}, {A: 0.7})
    asked = f"query: at {rfc3339(world.now - 50 * SECOND)}: HTTP 503 from the source; states are kept meanwhile"
    assert told[:5] == [
        asked,
        f"sample: {A} was never reported by the signal",
        "verdict: ok: drift 0.1, limit 0.6",
        "verdict: inconclusive: no_data; the state is kept",
        f"state: pending since {rfc3339(world.now - 10 * SECOND)}: `for` needs 10s more",
    ]
    (record,) = world.requests()
    assert told[5] == f"a request was made: {record.id}: requested, attempt 1, sent {rfc3339(world.now)}"
    assert [(check.name, check.passed) for check in explain(world).checks] == [
        ("query", True), ("verdict", True), ("state", True), ("episode", True), ("request", True),
    ]  # fmt: skip


def depart(world: World) -> None:
    """A reports no longer; its place has C, so that A is dropped."""
    world.tick({C: 0.1})
    world.now += REPLACED_AFTER
    world.tick({C: 0.1})


@pytest.mark.parametrize("restart", [False, True])
def test_a_version_that_was_replaced_names_its_successor(restart: bool) -> None:
    """Its series have ended; it was reported, and a request came from it."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (record,) = world.requests()
    world.commands.report_status(StatusReport(record.id, RequestState.SUCCEEDED, world.now, new_version="8"))
    depart(world)
    if restart:
        world.restart()
        world.tick({C: 0.1})
    assert explain(world).answer == f"sample: {A} was replaced by {C} (request {record.id})"


def test_a_model_that_is_reported_no_longer_has_its_latest_decision() -> None:
    """It was replaced without a request; at a past instant, only history counts."""
    world = World(group(rule(for_=HOUR)))
    world.tick({A: 0.7})
    depart(world)
    since = f"{rfc3339(world.now)}: replaced: drift no longer reports it"
    assert explain(world).answer == f"sample: {A} is no longer reported; its latest decision is of {since}"
    past = explain(world, B, at=world.now).answer
    assert past == f"sample: {B} was not reported in the history before this instant"


def test_an_expression_without_a_result_is_explained_without_its_last_value() -> None:
    """It returned the model earlier."""
    told = answers(World(group(rule(limit=None))), {A: 0.7}, {B: 0.7})
    assert told[1] == "verdict: ok: the expression returns nothing for the model"


def test_every_gate_is_reported_and_the_closed_one_is_the_answer() -> None:
    """Gates come in their order, with the reason."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.1, C: 0.8})
    found = explain(world, C)
    until = rfc3339(world.now - 10 * SECOND + HOUR)
    assert found.answer == f"gate cooldown: closed until {until} after {world.requests()[0].id}"
    gates = [(check.name, check.passed) for check in found.checks if check.name.startswith("gate")]
    assert gates[:5] == [
        ("gate paused", True), ("gate in_flight", True), ("gate max_attempts", True), ("gate cooldown", False),
        ("gate budget", True),
    ]  # fmt: skip
    assert len(gates) == len(HoldReason)
    assert found.checks[-1].text == f"{world.requests()[-1].id}: held by cooldown, attempt 1"


def test_after_an_attempt_that_failed_the_next_one_is_explained() -> None:
    """A model that stays breached waits for its cooldown, or for another gate."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "failed")
    ended = world.requests()[0].ended_at
    world.tick({A: 0.7})
    found = explain(world)
    assert found.answer == f"next attempt: cooldown, closed until {rfc3339(ended + HOUR)}"
    assert [check.name for check in found.checks][-2:] == ["request", "next attempt"]


def test_a_shared_cause_is_explained_with_its_evidence() -> None:
    """Not the model: four of four are unhealthy."""
    world = World(group(rule()), gates=Gates(settle=0, shared_cause=SharedCauses(wait=0)))
    fleet = [ModelKey("shop", name, "1") for name in "abcd"]
    world.tick(dict.fromkeys(fleet, 0.7))
    found = explain(world, fleet[0])
    assert (
        found.answer
        == "gate not_the_model: closed until an operator acts or its siblings recover: 4 of all 4 models are unhealthy"
    )


def test_at_a_past_instant_a_shared_cause_is_explained_as_it_was_decided_then() -> None:
    """With the stored decisions, their slots and their evidence; nothing that came later is shown."""
    shared = SharedCauses(wait=50 * SECOND, window=50 * SECOND)
    world = World(group(rule()), gates=Gates(settle=0, shared_cause=shared))
    fleet = [ModelKey("shop", name, "1") for name in "abcd"]
    healthy, unhealthy = dict.fromkeys(fleet, 0.1), dict.fromkeys(fleet, 0.7)
    world.tick(healthy)
    world.tick({**healthy, fleet[0]: 0.7})
    began = world.now
    world.tick(unhealthy)
    joined = world.now
    for _ in range(12):
        world.tick({**healthy, fleet[0]: 0.7})
    assert world.requests()[0].state == "requested"

    def decided(at: Timestamp) -> list[str]:
        return [check.text for check in explain(world, fleet[0], at=at).checks if check.name == "decision"]

    weighing = f"{rfc3339(began)}: Drifted: drift 0.7 above 0.6; held: weighing until {rfc3339(began + 50 * SECOND)}"
    assert decided(began) == [weighing]
    cause = f"{rfc3339(joined)}: held: not_the_model: 4 of all 4 models are unhealthy"
    assert decided(joined + 10 * SECOND) == [cause, weighing]
    assert decided(world.now)[1:] == [cause, weighing]
    (waits,) = [check.text for check in explain(world, fleet[0], at=joined).checks if check.name == "request"]
    assert waits == f"{world.requests()[0].id}: attempt 1, not sent yet; {cause}"


def test_a_rule_that_joined_names_the_gate_of_its_leaders_request() -> None:
    """Its own decisions do not: those about the request are the leader's."""
    world = World(group(rule(), rule("Also")))
    world.commands.pause("", "", HOUR, "ada")
    world.tick({A: 0.7})
    (waits,) = [check.text for check in explain(world, at=world.now, name="Also").checks if check.name == "request"]
    assert waits.endswith(f"not sent yet; {rfc3339(world.now)}: Drifted: drift 0.7 above 0.6; held: paused")


def test_a_silence_that_cannot_be_understood_is_named() -> None:
    """With its error, which is shown nowhere else."""
    world = World(group(rule()))
    odd = Silence("s1", (), 0, world.now + HOUR, unclear="a=~(: not a regular expression")
    world.change(silences=lambda: SilenceSnapshot((odd,), world.now))
    world.tick({A: 0.7})
    expected = "gate silences_unknown: closed until an operator acts; silence s1: a=~(: not a regular expression"
    assert explain(world).answer == expected


def would_be_held(world: World, model: ModelKey = A) -> list[str]:
    """Return what the gates would do with a request of an inactive rule."""
    found = explain(world, model)
    assert found.answer.startswith(("verdict: ok", "state: pending"))
    return [f"{check.name}: {check.text}" for check in found.checks if check.name.startswith("gate")]


def test_an_inactive_rule_reports_what_would_hold_its_request() -> None:
    """Cooldown with its request, pause with its author, silence with its id; nothing if all gates are open."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.1, B: 0.1})
    assert would_be_held(world) == ["gates: a request would not be held"]
    world.tick({A: 0.7, B: 0.1})
    (record,) = world.requests()
    world.report(record.id, "succeeded")
    ended = world.now
    world.commands.pause("", "", HOUR, "ada", "move")
    silence = Silence("s1", (), 0, world.now + HOUR, "kim", "work")
    world.change(silences=lambda: SilenceSnapshot((silence,), world.now))
    world.tick({A: 0.1, B: 0.1})
    until, held = rfc3339(ended + HOUR), "a request would be held: closed until"
    assert would_be_held(world) == [
        f"gate paused: {held} {until}; paused by ada: move",
        f"gate cooldown: {held} {until} after {record.id}",
        f"gate silenced: {held} {until}; silence s1 by kim: work",
    ]
    assert [text.partition(":")[0] for text in would_be_held(world, B)] == ["gate paused", "gate silenced"]


def test_a_pending_rule_reports_the_gates_of_its_pipeline() -> None:
    """Another version is being retrained."""
    world = World(group(rule(for_=10 * SECOND)))
    world.tick({A: 0.7})
    world.tick({A: 0.7})
    world.tick({A: 0.7, C: 0.7})
    assert [text.partition(":")[0] for text in would_be_held(world, C)] == ["gate in_flight"]


def test_the_gates_of_an_inactive_rule_expand_no_template() -> None:
    """Its `query` would be sent while the engine waits; the other labels count."""
    world = World(group(rule(labels={"level": '{{ query "up" }}', "team": "risk"})))
    matchers = tuple(map(Matcher.parse, ('team="risk"', 'level=""')))
    silence = Silence("s1", matchers, 0, world.now + HOUR, "kim")
    world.change(silences=lambda: SilenceSnapshot((silence,), world.now))
    world.tick({A: 0.1})
    assert [text.partition(":")[0] for text in would_be_held(world)] == ["gate silenced"]
    assert world.source.evaluated == []


def test_only_a_rule_that_may_open_an_episode_reports_gates() -> None:
    """Not an alert: rule, nor one whose model has an open episode."""
    world = World(group(rule("Told", kind=RuleKind.ALERT)))
    world.tick({A: 0.1})
    assert would_be_held(world) == []
    world = World(group(rule("First"), rule("Second", query="errors", limit=0.5)))
    world.say({A: 0.7}, signal="drift")
    world.tick({A: 0.1}, signal="errors")
    names = [check.name for check in explain(world, name="Second").checks]
    assert names == ["query", "verdict", "state"]


def test_a_rule_that_requests_nothing_reports_it() -> None:
    """An alert: rule that fires."""
    world = World(group(rule("Told", kind=RuleKind.ALERT)))
    world.tick({A: 0.7})
    assert explain(world).answer == "episode: an `alert:` rule notifies people and requests nothing"


def test_a_joined_rule_names_the_leader() -> None:
    """Another rule leads the episode."""
    world = World(group(rule("First"), rule("Second", query="errors", limit=0.1)))
    world.say({A: 0.7}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    texts = [check.text for check in explain(world, name="Second").checks if check.name == "episode"]
    assert texts == [f"open since {rfc3339(world.now)}; this rule joined it; First leads"]


def test_a_past_instant_is_computed_again_from_history() -> None:
    """Verdict and state are those of that instant; decision and request come from the store."""
    world = World(group(rule(for_=20 * SECOND)))
    for value in (0.1, 0.7, 0.7, 0.7, 0.1):
        world.tick({A: value})
    pending = explain(world, at=world.now - 25 * SECOND)
    assert (pending.recomputed, pending.slot) == (True, world.now - 30 * SECOND)
    assert pending.answer == f"state: pending since {rfc3339(world.now - 30 * SECOND)}: `for` needs 20s more"
    fired = explain(world, at=world.now - 10 * SECOND)
    assert [check.text for check in fired.checks if check.name == "verdict"] == ["breached: drift 0.7 above 0.6"]
    assert fired.answer.startswith(f"a request was made: {world.requests()[0].id}: attempt 1, sent")
    assert explain(world, at=world.now).answer == "verdict: ok: drift 0.1, limit 0.6"
    assert explain(world).recomputed is False


def test_a_past_instant_shows_nothing_that_came_after_it() -> None:
    """A request is as it was then: held, later sent, succeeded and judged."""
    world = World(group(rule()))
    world.commands.pause("", "", 15 * SECOND, "ada")
    world.tick({A: 0.7})
    held = world.now
    world.tick({A: 0.7})
    sent = world.now
    (record,) = world.requests()
    world.tick({A: 0.7})
    world.report(record.id, "succeeded")
    ended = world.now
    world.tick({A: 0.1})
    at = [explain(world, at=instant) for instant in (held - 10 * SECOND, held, sent, ended)]
    texts = [[check.text for check in found.checks if check.name == "request"] for found in at]
    none = "no request of the pipeline was open"
    asked = f"{record.id}: attempt 1, sent {rfc3339(sent)}"
    waits = f"{record.id}: attempt 1, not sent yet; {rfc3339(held)}: Drifted: drift 0.7 above 0.6; held: paused"
    assert texts == [[none], [waits], [asked], [none]]
    assert [found.helped for found in at] == [""] * 4
    assert explain(world).helped


def test_a_past_instant_lists_the_decisions_that_led_to_it() -> None:
    """From the decision log, the latest first; none that came after."""
    world = World(group(rule(for_=10 * SECOND)))
    for value in (0.1, 0.7, 0.7, 0.1):
        world.tick({A: value})
    found = explain(world, at=world.now - 10 * SECOND)
    logged = [f"{rfc3339(item.slot)}: {item.reason}" for item in world.decisions() if item.slot <= found.slot]
    assert len(logged) < len(world.decisions())
    assert [check.text for check in found.checks if check.name == "decision"] == logged[::-1]


def test_the_commands_repeat_the_query_of_the_slot() -> None:
    """With the offset of the group, quoted for a shell."""
    world = World(group(rule(), offset=5 * SECOND))
    world.tick({A: 0.1})
    assert explain(world).repeat == (curl("http://p:9090/x", "drift", world.now - 5 * SECOND),)
    command = curl("http://p:9090/x/", 'up{a="b\'c"}', 1_700_000_000_500)
    assert command == (
        "curl -sG http://p:9090/x/api/v1/query --data-urlencode 'query=up{a=\"b'\"'\"'c\"}' "
        "--data-urlencode time=1700000000.500"
    )


def test_an_unknown_rule_is_an_error() -> None:
    """Not an empty answer."""
    with pytest.raises(RequestError, match="there is no rule 'Nope'"):
        explain(World(group(rule())), name="Nope")


def test_how_often_a_rule_was_right_is_reported() -> None:
    """Once a retraining has a recovery verdict."""
    world = World(group(rule()), gates=Gates(settle=0))
    world.tick({A: 0.7})
    assert explain(world).helped == ""
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.1})
    assert explain(world).helped == "1 of 1 retrainings led by this rule helped"


def test_a_decision_has_the_commands_that_repeat_its_query() -> None:
    """At its instant, with the query of that time, even if the rule is gone; not for several queries in one text."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    (found,) = world.decisions()
    repeat = Explainer(world.engine, world.store, lambda _: "http://p:9090/x").repeat
    (command,) = repeat(found)
    assert found.query in command
    assert f"time={found.query_time / 1000:.3f}" in command
    gone = structs.replace(found, rule="Gone")
    assert repeat(gone) == [command]
    assert repeat(structs.replace(gone, query="a: up\nb: up")) == []
    assert repeat(structs.replace(gone, query="")) == []


def test_a_server_that_does_not_answer_ends_the_explanation() -> None:
    """At the first slot: each one would wait for its retries."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    world.source.down = QUERY_FAILED
    before = len(world.source.asked)
    with pytest.raises(SourceError, match="HTTP 503 from the source"):
        explain(world, at=world.now)
    assert len(world.source.asked) - before <= 2


def test_an_explanation_of_the_past_has_a_time_limit() -> None:
    world = World(group(rule()))
    world.tick({A: 0.7})
    seconds = iter(range(0, 100_000, 15))
    explainer = Explainer(world.engine, world.store, lambda _: "", lambda: next(seconds))
    with pytest.raises(SourceError, match="took longer than 20 s; explain one rule at a time"):
        explainer.explain(A, at=world.now)
