"""Discarding of deliveries to destinations that are not configured any more."""

from __future__ import annotations

import pytest

from bridge.domain.errors import RequestError, StoreError, UnknownRequestError
from bridge.domain.times import MINUTE
from bridge.engine.api import discarding
from bridge.engine.api.views import Discarded
from bridge.ports import Delivery, Result, TickChanges
from tests.support.outbox import settle
from tests.support.world import A, B, FixedRoutes, World, group, rule

OLD, NEW = "old/webhook/0", "team/coordinator/0"


def removed(*destinations: str) -> World:
    """Return a world with a request of A and of B to OLD and NEW, of which `destinations` are configured now."""
    world = World(group(rule()), routes=FixedRoutes((OLD, NEW)))
    world.tick({A: 0.7, B: 0.7})
    world.routes.destinations = destinations
    return world


@pytest.mark.parametrize("batch", [1, 500])
def test_deliveries_to_a_removed_receiver_are_ended_once(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the action on each request, also after a restart; the other deliveries still wait."""
    monkeypatch.setattr(discarding, "BATCH", batch)
    world = removed(NEW)
    assert world.commands.discard("old", "ada", "gone") == Discarded([OLD], 2, 2)
    world.restart()
    for record in world.requests():
        assert record.state == "requested"
        assert [(act.what, act.who, act.note) for act in record.acts] == [
            ("discard", "ada", f"{OLD} (firing, queued after 0 attempts); gone")
        ]
        assert {item.destination: item.state.value for item in world.store.deliveries(record.id)} == {
            OLD: "dead", NEW: "queued",
        }  # fmt: skip
    last = world.decisions()[-1]
    assert (last.outcome, last.rule) == ("none", "Drifted")
    assert last.reason == f"deliveries discarded by ada: {OLD} (firing, queued after 0 attempts); gone"
    assert world.commands.discard("old", "ada") == Discarded()
    assert [len(record.acts) for record in world.requests()] == [1, 1]


def test_a_request_of_which_no_delivery_is_left_is_undelivered() -> None:
    """In memory at once: the episode can make another request."""
    world = removed()
    world.commands.discard("old", "ada")
    assert {record.state for record in world.requests()} == {"requested"}
    world.commands.discard("team", "ada")
    assert {record.state for record in world.requests()} == {"undelivered"}
    known = world.state.episode_index.requests.values()
    assert {record.state for record in known} == {"undelivered"}
    world.now += 5 * MINUTE
    world.routes.destinations = (NEW,)
    world.tick({A: 0.7, B: 0.1})
    assert world.states()[-1] == (A, "requested")


def test_deliveries_of_the_configuration_and_of_other_receivers_wait_on() -> None:
    """Only what was removed can be discarded."""
    world = removed(OLD, NEW)
    assert world.commands.discard("old", "ada") == Discarded()
    world.routes.destinations = ()
    assert world.commands.discard("ol", "ada") == Discarded()
    assert [record.acts for record in world.requests()] == [(), ()]


def test_deliveries_to_a_removed_receiver_are_not_redriven() -> None:
    """They stay dead until the receiver is back; those to the other destinations of the request are queued again."""
    world = removed(NEW)
    world.commands.discard("old", "ada")
    first, second = (record.id for record in world.requests())
    for destination in (None, OLD):
        with pytest.raises(RequestError, match=f"^destination not configured any more: {OLD}$"):
            world.commands.redrive(first, destination)
    (claim,) = world.store.claim(NEW, "w", world.now, 1000)
    settle(world.store, claim, Delivery(Result.DEAD), world.now, world.now)
    assert world.commands.redrive(claim.notification.request.id) == 1
    states = {item.destination: item.state.value for item in world.store.deliveries(claim.notification.request.id)}
    assert states == {OLD: "dead", NEW: "queued"}
    assert world.commands.redrive(first, NEW) == 0
    world.routes.destinations = (OLD, NEW)
    assert [world.commands.redrive(item) for item in (first, second)] == [1, 1]
    with pytest.raises(UnknownRequestError):
        world.commands.redrive("0" * 32)


def test_a_discard_that_is_not_stored_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the deliveries nor the requests."""
    world = removed(NEW)

    def fails(changes: TickChanges) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "commit", fails)
        with pytest.raises(StoreError):
            world.commands.discard("old", "ada")
    assert [record.acts for record in world.requests()] == [(), ()]
    assert world.store.depths()[OLD].pending == 2
