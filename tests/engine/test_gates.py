"""What holds a request, and what lets it go."""

from __future__ import annotations

import pytest

from bridge.domain.errors import RequestError, UnknownRequest
from bridge.domain.matchers import Matcher
from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason
from bridge.domain.rule import Cooldown, Gates, Mode, Rate, Storm
from bridge.domain.silence import Silence
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.ports import SilenceSnapshot
from tests.support.world import A, B, C, FixedRoutes, World, group, rule

TEN = 10 * SECOND


def fleet(count: int) -> list[ModelKey]:
    return [ModelKey("shop", f"p{number:02}", "1") for number in range(count)]


def holds(world: World) -> list[tuple[ModelKey, str, HoldReason | None]]:
    return [(record.request.model, record.state.value, record.hold) for record in world.requests()]


def test_a_rule_that_needs_approval_asks_nobody_before_somebody_said_yes() -> None:
    """Awaiting approval is a state of its own; who approved and when is recorded."""
    world = World(group(rule(approval=True)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert (record.state, record.hold, world.store.deliveries(record.id)) == ("awaiting_approval", "approval", [])
    approved = world.commands.act(record.id, "approve", "ada", "checked the data")
    assert approved.state == "requested"
    assert [(act.what, act.who, act.at, act.note) for act in approved.acts] == [
        ("approve", "ada", world.now, "checked the data")
    ]
    assert len(world.store.deliveries(record.id)) == 1
    assert world.decisions()[-1].reason == "approved by ada: checked the data"
    world.restart()
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_an_approved_request_still_waits_for_the_other_gates() -> None:
    """Yes to this retraining is not yes to two at a time."""
    world = World(group(rule(), rule("Careful", query="errors", limit=0.1, approval=True)))
    world.tick({A: 0.7})
    world.say({A: 0.7}, signal="drift")
    world.tick({C: 0.3}, signal="errors")
    held = next(item for item in world.requests() if item.request.model == C)
    assert held.hold == "in_flight"
    assert world.commands.act(held.id, "approve", "ada").hold == "in_flight"
    world.report(world.requests()[0].id, "succeeded")
    world.say({A: 0.1}, signal="drift")
    world.tick({C: 0.3}, signal="errors")
    assert (C, "requested") in world.states()


def test_a_person_releases_a_held_request_through_every_gate() -> None:
    """Cooldown or not: it goes at once, and says who let it go."""
    world = World(group(rule(cooldown=DAY)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.1, C: 0.8})
    held = next(item for item in world.requests() if item.request.model == C)
    assert (held.state, held.hold) == ("held", "cooldown")
    assert world.commands.act(held.id, "release", "ada").state == "requested"
    assert world.decisions()[-1].reason == "released by ada"


def test_a_withdrawn_request_is_over_and_its_episode_asks_no_more() -> None:
    """Somebody said no."""
    world = World(group(rule(approval=True)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert world.commands.act(record.id, "withdraw", "ada", "known").message == "withdrawn by ada: known"
    world.tick({A: 0.7})
    assert world.states() == [(A, "withdrawn")]


def test_only_a_request_that_waits_can_be_acted_on() -> None:
    """A sent one is the coordinator's; an unknown one nobody's."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    with pytest.raises(RequestError, match="is requested; only one that is held can be released"):
        world.commands.act(world.requests()[0].id, "release", "ada")
    with pytest.raises(UnknownRequest):
        world.commands.act("0" * 32, "approve", "ada")


def test_a_request_by_hand_goes_out_unless_a_gate_is_closed() -> None:
    """A closed gate refuses it, and says until when; force asks all the same."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    with pytest.raises(RequestError, match="shop/ranking: gate in_flight is closed until 2023-11-15T"):
        world.commands.create(C, "fresh labels", "ada")
    forced = world.commands.create(C, "fresh labels", "ada", force=True)
    assert (forced.state, forced.request.rule, forced.request.reason) == ("requested", "manual", "fresh labels")
    other = world.commands.create(B, "fresh labels", "bob")
    assert [item.request_id for item in world.store.deliveries(other.id)] == [other.id]
    assert world.decisions()[-1].reason == "asked by bob: fresh labels"


def test_a_pause_holds_what_it_covers_until_it_is_over_or_ended() -> None:
    """Of one pipeline here; it survives a restart, and needs no Alertmanager."""
    world = World(group(rule()))
    world.commands.pause("shop", "ranking", HOUR, "ada", "migration")
    world.restart()
    world.tick({A: 0.7, B: 0.7})
    assert holds(world) == [(A, "held", "paused"), (B, "requested", None)]
    assert world.requests()[0].hold_until == world.now - TEN + HOUR
    assert [item.who for item in world.commands.pauses()] == ["ada"]
    world.commands.pause("shop", "ranking", 0, "ada")
    world.tick({A: 0.7, B: 0.7})
    assert world.states() == [(A, "requested"), (B, "requested")]
    world.restart()
    assert world.commands.pauses() == []


def test_a_pause_of_everything_ends_by_itself() -> None:
    """No end has to be remembered."""
    world = World(group(rule()))
    world.commands.pause("", "", 15 * SECOND, "ada")
    world.tick({A: 0.7})
    assert holds(world) == [(A, "held", "paused")]
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


@pytest.mark.parametrize("scope", ["per_pipeline", "per_project", "total"])
def test_a_budget_lets_so_many_through_in_any_such_time(scope: str) -> None:
    """Two an hour: the third waits until the first is an hour old, over a restart too."""
    gates = Gates(settle=0, **{scope: Rate(2, HOUR)})
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
    """What the slot itself sends counts already; ties go by model."""
    world = World(group(rule()), gates=Gates(total=Rate(1, DAY), settle=0))
    world.tick({B: 0.7, A: 0.7})
    assert holds(world) == [(A, "requested", None), (B, "held", "budget")]


def test_a_storm_holds_everybody_and_is_one_incident() -> None:
    """9 of 20 at once: all held for the storm's time, one decision says so; then they go one after the other."""
    models = fleet(20)
    world = World(group(rule()), gates=Gates(storm=Storm(0.4, 20, 30 * SECOND), settle=0))
    world.tick(dict.fromkeys(models, 0.1))
    bad = {**dict.fromkeys(models, 0.1), **dict.fromkeys(models[:9], 0.7)}
    world.tick(bad)
    assert {(state, hold) for _, state, hold in holds(world)} == {("held", "storm")}
    (incident,) = [item for item in world.decisions() if item.model is None]
    assert incident.reason.startswith("storm: 9 of 20 models began to fire in one slot, more than 40%; their requests")
    for _ in range(2):
        world.tick(bad)
    assert {state for _, state, _ in holds(world)} == {"held"}
    world.tick(bad)
    assert {state for _, state, _ in holds(world)} == {"requested"}


def test_few_models_or_a_small_share_are_no_storm() -> None:
    """The share is of the models that are known, and a handful of models storms easily."""
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
    world.engine.silences = lambda: SilenceSnapshot(listed, at)


def test_a_silence_holds_the_request_that_it_covers() -> None:
    """Its labels are those of the alert; when the silence is over, the request goes."""
    world = World(group(rule(labels={"severity": "page"})))
    silence(world, 'pipeline="ranking"', 'alertname="ModelRetrainRequested"', 'severity="page"')
    world.tick({A: 0.7, B: 0.7})
    assert holds(world) == [(A, "held", "silenced"), (B, "requested", None)]
    world.tick({A: 0.7, B: 0.7})
    assert world.states() == [(A, "requested"), (B, "requested")]


@pytest.mark.parametrize(("hold", "state"), [(False, "requested"), (True, "held")])
def test_when_nobody_knows_the_silences_the_configuration_decides(hold: bool, state: str) -> None:
    """An old list is no list: send and record, or hold."""
    world = World(group(rule()), gates=Gates(hold_unknown=hold, settle=0))
    silence(world, 'pipeline="ranking"', fetched=world.now - HOUR)
    world.tick({A: 0.7})
    assert world.states() == [(A, state)]


def test_muted_routes_hold_until_their_time_is_over() -> None:
    """A coordinator that is muted at night is asked in the morning, not never."""
    routes = FixedRoutes()
    world = World(group(rule()), routes=routes)
    routes.muted = world.now + 15 * SECOND
    world.tick({A: 0.7})
    assert holds(world) == [(A, "held", "muted")]
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_the_cooldown_doubles_while_retraining_does_not_help() -> None:
    """1, 2, 4 minutes, never more than max; a success that helped begins anew."""
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


def test_after_max_attempts_people_are_asked_instead() -> None:
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
    """Cooldown and all, as if; no destination hears of it."""
    world = World(group(rule(mode=Mode.DRY_RUN, cooldown=HOUR)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert (record.state, record.destinations, world.store.deliveries(record.id)) == ("recorded", (), [])
    assert world.decisions()[-1].reason == "Drifted: drift 0.7 above 0.6; dry run: sent to nobody"
    world.tick({A: 0.7, C: 0.9})
    assert holds(world)[1] == (C, "held", "cooldown")


def test_a_shadow_rule_is_decided_beside_the_others_and_touches_nothing() -> None:
    """No episode, no request: a decision says what it would have done."""
    world = World(group(rule("Live"), rule("Shadow", query="errors", limit=0.1, mode=Mode.SHADOW)))
    world.say({A: 0.1}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    assert (world.requests(), world.engine.book.episodes) == ([], {})
    assert [(item.rule, item.outcome) for item in world.decisions()] == [("Shadow", "recorded")]
    world.say({A: 0.7}, signal="drift")
    world.tick({A: 0.3}, signal="errors")
    assert world.requests()[0].request.reasons == ("Live: drift 0.7 above 0.6",)
