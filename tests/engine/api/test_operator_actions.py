"""Operator actions: approve, release, withdraw, create by hand, and pause."""

from __future__ import annotations

import pytest

from bridge.domain.errors import RequestError, UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import Feedback, HoldReason, RequestRecord
from bridge.domain.rule import Cooldown, Mode
from bridge.domain.times import DAY, HOUR, SECOND, rfc3339
from tests.support.world import A, B, C, FixedRoutes, World, group, rule

TEN = 10 * SECOND


def holds(world: World) -> list[tuple[ModelKey, str, HoldReason | None]]:
    return [(record.request.model, record.state.value, record.hold) for record in world.requests()]


def test_a_rule_that_needs_approval_sends_nothing_before_it_is_approved() -> None:
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
    """Approval of this retraining does not allow two at a time."""
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


def test_an_operator_releases_a_held_request_through_every_gate() -> None:
    """It is sent at once despite a cooldown, and the record names the person."""
    world = World(group(rule(cooldown=DAY)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.1, C: 0.8})
    held = next(item for item in world.requests() if item.request.model == C)
    assert (held.state, held.hold) == ("held", "cooldown")
    assert world.commands.act(held.id, "release", "ada").state == "requested"
    assert world.decisions()[-1].reason == "released by ada"


def test_a_withdrawn_request_is_over_and_its_episode_requests_no_more() -> None:
    """A person withdrew it."""
    world = World(group(rule(approval=True)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    assert world.commands.act(record.id, "withdraw", "ada", "known").message == "withdrawn by ada: known"
    world.tick({A: 0.7})
    assert world.states() == [(A, "withdrawn")]


def test_only_a_request_that_waits_can_be_acted_on() -> None:
    """A sent request belongs to the coordinator; an unknown id is an error."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    with pytest.raises(RequestError, match="is requested; only one that is held or awaits approval can be released"):
        world.commands.act(world.requests()[0].id, "release", "ada")
    with pytest.raises(UnknownRequestError):
        world.commands.act("0" * 32, "approve", "ada")


def test_a_request_by_hand_goes_out_unless_a_gate_is_closed() -> None:
    """A closed gate refuses it with the expected end; `force` sends it anyway."""
    world = World(group(rule()))
    world.tick({A: 0.7})
    with pytest.raises(RequestError, match="shop/ranking: gate in_flight is closed until 2023-11-15T"):
        world.commands.create(C, "fresh labels", "ada")
    forced = world.commands.create(C, "fresh labels", "ada", force=True)
    assert (forced.state, forced.request.rule, forced.request.reason) == ("requested", "manual", "fresh labels")
    other = world.commands.create(B, "fresh labels", "bob")
    assert [item.request_id for item in world.store.deliveries(other.id)] == [other.id]
    assert world.decisions()[-1].reason == "requested by bob: fresh labels"


@pytest.mark.parametrize("model", [A, C])
def test_a_request_by_hand_waits_for_the_longest_cooldown_of_its_pipeline(model: ModelKey) -> None:
    """Of the rules that request retraining and evaluate a version of the pipeline; `force` bypasses it and says so."""
    shadow = rule("Shadow", query="shadow", cooldown=30 * DAY, mode=Mode.SHADOW)
    other = rule("Other", query="errors", cooldown=9 * DAY)
    world = World(group(rule(cooldown=HOUR), rule("Slow", query="slow", cooldown=DAY), shadow, other))
    world.say({B: 0.1}, signal="errors")
    world.say({A: 0.1}, signal="shadow")
    world.say({A: 0.1}, signal="slow")
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "succeeded")
    closed = f"shop/ranking: gate cooldown is closed until {rfc3339(world.now + DAY)}"
    assert world.commands.refusal(model) == closed
    with pytest.raises(
        RequestError, match=f"^{closed}; use force \\(--force on the command line\\) to request it anyway$"
    ):
        world.commands.create(model, "fresh labels", "ada")
    assert world.commands.create(model, "fresh labels", "ada", force=True).state == "requested"
    assert world.decisions()[-1].reason == f"requested by ada: fresh labels; forced: {closed}"
    world.now += DAY
    assert "cooldown" not in world.commands.refusal(model)


def test_the_cooldown_of_a_request_by_hand_grows_as_that_of_the_rule() -> None:
    """A retraining that failed counts as one that did not help."""
    world = World(group(rule(cooldown=Cooldown(HOUR, 4 * HOUR))))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "failed")
    assert world.commands.refusal(A).endswith(f"closed until {rfc3339(world.now + 2 * HOUR)}")


def test_a_person_decides_about_approval_and_max_attempts() -> None:
    """Both gates wait for a person, who has made this request."""
    world = World(group(rule(approval=True, max_attempts=1)))
    world.tick({A: 0.1})
    first = world.commands.create(A, "fresh labels", "ada")
    world.report(first.id, "failed")
    assert world.commands.create(A, "once more", "ada").state == "requested"


def test_a_pause_holds_what_it_covers_until_it_is_over_or_ended() -> None:
    """The pause of one pipeline survives a restart and needs no Alertmanager."""
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
    """The end of a pause needs no action."""
    world = World(group(rule()))
    world.commands.pause("", "", 15 * SECOND, "ada")
    world.tick({A: 0.7})
    assert holds(world) == [(A, "held", "paused")]
    world.tick({A: 0.7})
    assert world.states() == [(A, "requested")]


def test_a_dry_bridge_sends_nothing_whatever_is_released() -> None:
    """The leading rule was removed: another rule of the episode decides about the request."""
    joined = rule("Joined", limit=0.7, mode=Mode.DRY_RUN)
    world = World(group(rule("Leader", mode=Mode.DRY_RUN), joined))
    world.change(dry_run=True)
    world.commands.pause("", "", HOUR, "bob")
    world.tick({A: 0.65})
    world.tick({A: 0.9})
    record = world.requests()[0]
    world.reconfigure(group(joined))
    world.tick({A: 0.9})
    if world.requests()[0].state == "held":
        world.commands.act(record.id, "release", "bob")
    assert {item.state for item in world.requests()} <= {"recorded", "withdrawn"}
    assert world.store.deliveries(record.id) == []


def test_requests_by_hand_have_ids_of_their_own_and_block_no_model_for_long() -> None:
    """Two in one millisecond are two; without a reporting receiver, one ends when it is sent."""
    world = World(group(rule()), routes=FixedRoutes(reporting=False))
    made = [world.commands.create(A, "by hand", "ada", force=True) for _ in range(2)]
    assert len({item.id for item in made}) == 2
    assert [item.state for item in made] == ["closed", "closed"]
    (decided, _) = world.decisions()
    assert (decided.outcome, decided.reason) == (
        "requested", "requested by ada: by hand; closed: sent, and no receiver reports its end"
    )  # fmt: skip
    assert made[0].message == "sent, and no receiver reports its end"


def test_actions_and_pauses_are_logged_with_their_author(caplog: pytest.LogCaptureFixture) -> None:
    """The log entries carry the fields that an operator filters by."""
    caplog.set_level("INFO", "bridge.engine.api.operator_actions")
    world = World(group(rule(approval=True)))
    world.tick({A: 0.7})
    world.commands.act(world.requests()[0].id, "approve", "ada")
    world.commands.pause("shop", "", HOUR, "bob")
    world.commands.pause("shop", "", 0, "bob")
    fields = [(item.getMessage(), item.__dict__["who"]) for item in caplog.records]
    assert fields == [("operator action applied", "ada"), ("requests paused", "bob"), ("requests resumed", "bob")]
    assert caplog.records[1].__dict__["for"] == "1h"


def test_a_model_name_that_is_too_long_is_refused() -> None:
    """Nothing is stored."""
    world = World(group(rule()))
    with pytest.raises(RequestError, match="project, pipeline and version have at most 1024 characters"):
        world.commands.create(ModelKey("shop", "p" * 1025, "1"), "fresh labels", "ada")
    assert world.requests() == []


@pytest.mark.parametrize("what", ["approve", "release", "withdraw", "useful"])
@pytest.mark.parametrize("restarted", [False, True])
def test_action_with_the_same_key_is_applied_once(what: str, restarted: bool) -> None:
    """The repeat returns the request as it is now, also at another owner, and changes nothing."""
    world = World(group(rule(approval=True)))
    world.tick({A: 0.7})
    (record,) = world.requests()

    def act(key: str) -> RequestRecord:
        if what == "useful":
            return world.commands.feedback(record.id, Feedback.USEFUL, "ada", "", key)
        return world.commands.act(record.id, what, "ada", "", key)

    first = act("k1")
    decided, sent = world.decisions(), world.store.deliveries(record.id)
    if restarted:
        world.restart()
    assert act("k1") == first
    assert (world.decisions(), world.store.deliveries(record.id)) == (decided, sent)
    assert [(item.what, item.key) for item in first.acts] == [(what, "k1")]
    if what == "useful":
        assert len(act("k2").acts) == 2
    else:
        with pytest.raises(RequestError, match=r"only one that (is held or )?awaits approval"):
            act("k2")


def test_key_of_another_action_is_refused() -> None:
    """A caller that uses a key twice would take the first outcome for the second one's."""
    world = World(group(rule(approval=True)))
    world.tick({A: 0.7})
    (record,) = world.requests()
    world.commands.act(record.id, "approve", "ada", "", "k1")
    with pytest.raises(RequestError, match="was used for another action"):
        world.commands.act(record.id, "withdraw", "ada", "", "k1")


def test_request_by_hand_with_the_same_key_is_made_once() -> None:
    """Without a key, each call makes a request."""
    world = World(group(rule()))
    first = world.commands.create(A, "fresh labels", "ada", force=True, key="k1")
    world.restart()
    assert world.commands.create(A, "fresh labels", "ada", force=True, key="k1").id == first.id
    assert world.commands.create(A, "fresh labels", "ada", force=True, key="k2").id != first.id
    assert len(world.requests()) == 2
