"""Gates: what holds a request, and what releases it."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.domain.matchers import Matcher
from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason, RequestState
from bridge.domain.rule import Budget, Cooldown, Gates, Mode, RuleKind, Storm
from bridge.domain.silence import Silence
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.ports import SilenceSnapshot, StatusReport
from tests.support.world import A, B, C, FixedRoutes, World, group, rule

TEN = 10 * SECOND


def fleet(count: int) -> list[ModelKey]:
    return [ModelKey("shop", f"p{number:02}", "1") for number in range(count)]


def holds(world: World) -> list[tuple[ModelKey, str, HoldReason | None]]:
    return [(record.request.model, record.state.value, record.hold) for record in world.requests()]


@pytest.mark.parametrize("scope", ["per_pipeline", "per_project", "total"])
def test_a_budget_allows_so_many_in_its_period(scope: str) -> None:
    """Two an hour: the third waits until the first is an hour old, over a restart too."""
    budget: dict[str, Any] = {scope: Budget(2, HOUR)}
    gates = Gates(settle=0, **budget)
    models = [ModelKey("shop", "p", str(number)) for number in range(3)]
    world = World(group(rule(), interval=MINUTE), gates=gates)
    sent_first = 0
    for number, model in enumerate(models[:2]):
        world.tick({model: 0.7})
        sent_first = sent_first or world.now
        world.report(world.requests()[number].id, "cancelled")
    world.tick({models[2]: 0.7})
    assert (world.requests()[2].hold, world.requests()[2].hold_until) == ("budget", sent_first + HOUR)
    world.restart()
    while world.now < sent_first + HOUR - MINUTE:
        world.tick({models[2]: 0.7})
    assert world.requests()[2].state == "held"
    world.tick({models[2]: 0.7})
    assert world.requests()[2].state == "requested"


def test_two_of_one_slot_share_the_budget() -> None:
    """Requests sent in the same slot count already; ties are broken by model."""
    world = World(group(rule()), gates=Gates(total=Budget(1, DAY), settle=0))
    world.tick({B: 0.7, A: 0.7})
    assert holds(world) == [(A, "requested", None), (B, "held", "budget")]


def test_a_storm_holds_every_model_and_is_one_incident() -> None:
    """9 of 20 at once: all are held during the storm, with one decision; then they are sent one by one."""
    models = fleet(20)
    world = World(group(rule()), gates=Gates(storm=Storm(0.4, 20, 30 * SECOND), settle=0))
    world.tick(dict.fromkeys(models, 0.1))
    bad = {**dict.fromkeys(models, 0.1), **dict.fromkeys(models[:9], 0.7)}
    world.tick(bad)
    assert {(state, hold) for _, state, hold in holds(world)} == {("held", "storm")}
    (incident,) = [item for item in world.decisions() if item.model is None]
    assert incident.reason.startswith("storm: 9 of 20 models started firing in one slot, more than 40%; their requests")
    for _ in range(2):
        world.tick(bad)
    assert {state for _, state, _ in holds(world)} == {"held"}
    world.tick(bad)
    assert {state for _, state, _ in holds(world)} == {"requested"}


def test_few_models_or_a_small_share_are_no_storm() -> None:
    """The share is that of the known models; a few models alone are never a storm."""
    for count, bad in ((20, 8), (10, 9)):
        models = fleet(count)
        world = World(group(rule()), gates=Gates(storm=Storm(0.4, 20, HOUR), settle=0))
        world.tick(dict.fromkeys(models, 0.1))
        world.tick({**dict.fromkeys(models, 0.1), **dict.fromkeys(models[:bad], 0.7)})
        assert {state for _, state, _ in holds(world)} == {"requested"}


def silence(world: World, *matchers: str, fetched: int | None = None) -> None:
    made = tuple(Matcher.parse(text) for text in matchers)
    listed = (Silence("s1", made, 0, world.now + 15 * SECOND),)
    at = world.now if fetched is None else fetched
    world.change(silences=lambda: SilenceSnapshot(listed, at))


def test_a_silence_holds_the_request_that_it_covers() -> None:
    """Its labels are those of the alert; when the silence ends, the request is sent."""
    world = World(group(rule(labels={"severity": "page"})))
    silence(world, 'pipeline="ranking"', 'alertname="ModelRetrainRequested"', 'severity="page"')
    world.tick({A: 0.7, B: 0.7})
    assert holds(world) == [(A, "held", "silenced"), (B, "requested", None)]
    world.tick({A: 0.7, B: 0.7})
    assert world.states() == [(A, "requested"), (B, "requested")]


@pytest.mark.parametrize(("hold", "state"), [(False, "requested"), (True, "held")])
def test_when_the_silences_are_unknown_the_configuration_decides(hold: bool, state: str) -> None:
    """An outdated list of silences is ignored with a record, or the request is held."""
    world = World(group(rule()), gates=Gates(hold_unknown=hold, settle=0))
    silence(world, 'pipeline="ranking"', fetched=world.now - HOUR)
    world.tick({A: 0.7})
    assert world.states() == [(A, state)]


@pytest.mark.parametrize("hold", [False, True])
def test_a_silence_that_cannot_be_understood_holds_what_it_may_cover(hold: bool) -> None:
    """This is independent of the setting for unknown silences; when it ends, the request is sent."""
    world = World(group(rule()), gates=Gates(hold_unknown=hold, settle=0))
    made = (Matcher.parse('pipeline="ranking"'),)
    listed = (Silence("s1", made, 0, world.now + 15 * SECOND, unclear="not a regular expression"),)
    world.change(silences=lambda: SilenceSnapshot(listed, world.now))
    world.tick({A: 0.7, B: 0.7})
    assert holds(world) == [(A, "held", "silences_unknown"), (B, "requested", None)]
    world.tick({A: 0.7, B: 0.7})
    assert world.states() == [(A, "requested"), (B, "requested")]


def test_muted_routes_hold_until_their_time_is_over() -> None:
    """A request muted at night is sent in the morning, not dropped."""
    routes = FixedRoutes()
    world = World(group(rule()), routes=routes)
    routes.muted = world.now + 15 * SECOND
    world.tick({A: 0.7})
    assert holds(world) == [(A, "held", "muted")]
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_the_cooldown_doubles_while_retraining_does_not_help() -> None:
    """1, 2, 4 minutes, never more than max; a retraining that helped resets it."""
    world = World(group(rule(cooldown=Cooldown(MINUTE, 4 * MINUTE), max_attempts=0), interval=MINUTE))
    waits = []
    world.tick({A: 0.7})
    for _ in range(4):
        ended = world.now
        world.report(world.requests()[-1].id, "succeeded")
        count = len(world.requests())
        while len(world.requests()) == count:
            world.tick({A: 0.7})
        waits.append((world.now - ended) // MINUTE)
    assert waits == [2, 4, 4, 4]  # one is not over before it is known not to have helped
    assert [item.unhelpful for item in world.requests()] == [0, 1, 2, 3, 4]


def test_after_max_attempts_an_operator_is_notified() -> None:
    """The next request is held for a person, who may release or withdraw it."""
    world = World(group(rule(max_attempts=2)))
    world.tick({A: 0.7})
    for _ in range(2):
        world.report(world.requests()[-1].id, "failed")
        world.tick({A: 0.7})
    last = world.requests()[-1]
    assert (last.request.attempt, last.state, last.hold) == (3, "held", "max_attempts")
    assert world.decisions()[-1].outcome == "escalated"
    assert world.commands.act(last.id, "release", "ada").state == "requested"


def test_a_dry_run_decides_and_records_everything_and_sends_nothing() -> None:
    """It is decided like a live request, cooldown included, but not delivered."""
    world = World(group(rule(mode=Mode.DRY_RUN, cooldown=HOUR)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert (record.state, record.destinations, world.store.deliveries(record.id)) == ("recorded", (), [])
    assert world.decisions()[-1].reason == "Drifted: drift 0.7 above 0.6; dry run: not sent"
    world.tick({A: 0.7, C: 0.9})
    assert holds(world)[1] == (C, "held", "cooldown")


def test_a_shadow_rule_is_decided_beside_the_others_and_touches_nothing() -> None:
    """There is no episode and no request; a decision records what it would have done."""
    world = World(group(rule("Live"), rule("Shadow", query="errors", limit=0.1, mode=Mode.SHADOW)))
    world.say({A: 0.1}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    assert (world.requests(), world.state.episode_index.episodes) == ([], {})
    assert [(item.rule, item.outcome) for item in world.decisions()] == [("Shadow", "recorded")]
    world.say({A: 0.7}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    assert world.requests()[0].request.reasons == ("Live: drift 0.7 above 0.6",)


@pytest.mark.parametrize("was", [{"mode": Mode.SHADOW}, {"kind": RuleKind.ALERT}, {"mode": Mode.DRY_RUN}])
def test_a_rule_that_begins_to_request_requests_what_fires_already(was: dict[str, Any]) -> None:
    """The rule was a shadow, an alert or a dry run until the middle of a breach."""
    world = World(group(rule(**was)))
    world.tick({A: 0.9})
    world.reconfigure(group(rule()))
    world.tick({A: 0.9})
    assert world.requests()[-1].state == "requested"


def test_a_dry_run_keeps_no_live_rule_from_requesting() -> None:
    """The order in which they fire does not matter."""
    world = World(group(rule("Dry", mode=Mode.DRY_RUN), rule("Live", limit=0.7)))
    world.tick({A: 0.65})
    world.tick({A: 0.9})
    assert [(item.request.rule, item.state) for item in world.requests()] == [
        ("Dry", "recorded"),
        ("Live", "requested"),
    ]
    both = World(group(rule("Dry", mode=Mode.DRY_RUN), rule("Live", limit=0.7)))
    both.tick({A: 0.9})
    assert [(item.request.rule, item.state) for item in both.requests()] == [("Live", "requested")]


def test_an_episode_whose_leader_was_removed_requests_again_by_another_rule() -> None:
    """The joined rule takes the lead of attempt 2."""
    world = World(group(rule("Leader"), rule("Joined", limit=0.7)))
    world.tick({A: 0.65})
    world.tick({A: 0.9})
    world.reconfigure(group(rule("Joined", limit=0.7)))
    world.tick({A: 0.9})
    world.report(world.requests()[0].id, "failed")
    world.tick({A: 0.9})
    assert [(item.request.rule, item.request.attempt) for item in world.requests()] == [("Leader", 1), ("Joined", 2)]


def test_a_held_request_has_its_end_though_its_strategy_raises() -> None:
    """It is sent when the gate opens, also in a slot without an evaluation."""
    world = World(group(rule()), gates=Gates(settle=0, hold_limit=60 * SECOND))
    world.commands.pause("", "", 20 * SECOND, "bob")
    world.tick({A: 0.9})

    def broken(batch: object, state: object) -> None:
        raise ValueError("broken")

    strategy = world.rule("Drifted").strategy
    assert strategy is not None
    strategy.analyse_batch = broken  # type: ignore[method-assign, assignment]
    for _ in range(3):
        world.tick({A: 0.9})
    assert world.states() == [(A, "requested")]


def test_a_pause_in_a_storm_does_not_end_the_storm() -> None:
    """Paused and resumed: the storm still holds it."""
    models = fleet(4)
    world = World(group(rule()), gates=Gates(settle=0, storm=Storm(0.2, 4, 30 * MINUTE)))
    world.tick(dict.fromkeys(models, 0.1))
    world.tick(dict.fromkeys(models, 0.9))
    world.commands.pause("", "", MINUTE, "bob")
    world.tick(dict.fromkeys(models, 0.9))
    world.commands.pause("", "", 0, "bob")
    world.tick(dict.fromkeys(models, 0.9))
    assert {(state, hold) for _, state, hold in holds(world)} == {("held", "storm")}


def test_a_storm_outlives_a_restart_for_those_that_follow() -> None:
    """A fifth model starts firing after the restart and is held like the others."""
    models = fleet(6)
    world = World(group(rule()), gates=Gates(settle=0, storm=Storm(0.4, 4, 30 * MINUTE)))
    world.tick(dict.fromkeys(models, 0.1))
    world.tick({model: 0.9 if model in models[:4] else 0.1 for model in models})
    world.restart()
    world.tick({model: 0.9 if model != models[5] else 0.1 for model in models})
    assert {(state, hold) for _, state, hold in holds(world)} == {("held", "storm")}
    assert len(holds(world)) == 5


def test_a_running_retraining_is_not_closed_because_its_receiver_was_removed() -> None:
    """The coordinator has it, so there is no second request in parallel."""
    world = World(group(rule()))
    world.tick({A: 0.9})
    world.report(world.requests()[0].id, "running")
    world.routes = FixedRoutes(reporting=False)
    world.reconfigure(world.group)
    world.tick({A: 0.1})
    world.tick({A: 0.9})
    assert holds(world) == [(A, "running", None), (A, "held", "in_flight")]


def test_a_model_that_is_healthy_again_is_not_requested_though_it_is_kept_firing() -> None:
    """The gate opens within keep_firing_for: the request waits for a breach, or ends with the episode."""
    world = World(group(rule(keep_firing_for=HOUR)))
    world.commands.pause("", "", 20 * SECOND, "bob")
    world.tick({A: 0.9})
    for _ in range(4):
        world.tick({A: 0.1})
    assert world.states() == [(A, "held")]
    world.tick({A: 0.9})
    assert world.states() == [(A, "requested")]


def test_the_cooldown_is_that_of_the_retraining_that_ended_last_after_a_restart_too() -> None:
    """Sent first, ended last."""
    for restart in (False, True):
        world = World(group(rule(cooldown=HOUR), interval=MINUTE))
        world.tick({A: 0.9})
        world.tick({A: 0.9, C: 0.9})
        first, second = world.requests()
        world.commands.act(second.id, "release", "bob")
        world.tick({A: 0.1, C: 0.1})
        world.report(second.id, "failed")
        for _ in range(20):
            world.tick({A: 0.1, C: 0.1})
        world.report(first.id, "failed")
        for _ in range(45):
            world.tick({A: 0.1, C: 0.1})
        if restart:
            world.restart()
        world.tick({A: 0.1, C: 0.9})
        assert world.requests()[-1].hold == "cooldown"


def test_every_attempt_is_resolved() -> None:
    """The first is resolved when the second is made, the second with the episode; an unsent one never."""
    routes = FixedRoutes(("team/webhook/0",), resolved=("team/webhook/0",))
    world = World(group(rule()), routes=routes)
    world.tick({A: 0.9})
    world.report(world.requests()[0].id, "failed")
    world.commands.pause("", "", HOUR, "bob")
    world.tick({A: 0.9})
    world.tick({A: 0.1})
    first, second = world.requests()
    assert [item.kind for item in world.store.deliveries(first.id)] == ["firing", "resolved"]
    assert (second.state, world.store.deliveries(second.id)) == ("withdrawn", [])


def test_what_has_waited_longest_goes_first() -> None:
    """The order is by time, not alphabetical."""
    world = World(group(rule()), gates=Gates(settle=0, total=Budget(1, MINUTE)))
    first, later = ModelKey("shop", "z", "1"), ModelKey("shop", "a", "1")
    world.commands.pause("", "", 15 * SECOND, "bob")
    world.tick({first: 0.9})
    world.tick({first: 0.9, later: 0.9})
    assert {(item.request.model, item.state) for item in world.requests()} == {(first, "requested"), (later, "held")}


def test_a_clock_of_the_past_ends_no_cooldown() -> None:
    """An end before the sending time counts as the sending time."""
    world = World(group(rule(cooldown=HOUR)))
    world.tick({A: 0.9})
    (record,) = world.requests()
    world.commands.report_status(StatusReport(record.id, RequestState.FAILED, 1))
    world.tick({A: 0.9})
    assert [item.state for item in world.requests()] == ["failed"]
