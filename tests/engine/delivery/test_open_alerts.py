"""Open alerts of an engine, by destination."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason
from bridge.domain.rule import Gates
from bridge.domain.times import HOUR, SECOND, Timestamp
from bridge.engine.delivery.open_alerts import OpenAlertIndex
from tests.support.world import A, B, C, FixedRoutes, World, group, rule

AM = "team/alertmanager/0"


def reminded(world: World, since: int = 0) -> list[tuple[ModelKey, Timestamp, HoldReason | None]]:
    found = OpenAlertIndex(world.engine, world.routes).open_alerts(AM, since)
    return [(item.request.model, item.ends_at, item.held) for item in found]


def test_an_alertmanager_is_reminded_of_what_is_open() -> None:
    """While the episode is open, then for a while after its end."""
    world = World(group(rule()), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7, B: 0.1})
    assert reminded(world) == [(A, 0, None)]
    world.tick({A: 0.1})
    ended = world.now
    assert reminded(world, since=ended) == [(A, ended, None)]
    assert reminded(world, since=ended + 1) == []


def test_held_requests_are_reminded_of_as_held() -> None:
    """With the gate that holds it."""
    world = World(group(rule()), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7})
    world.tick({A: 0.7, C: 0.8})
    assert reminded(world) == [(A, 0, None), (C, 0, "in_flight")]


def released(world: World) -> list[tuple[ModelKey, Timestamp]]:
    found = OpenAlertIndex(world.engine, world.routes).open_alerts(AM, 0)
    return [(item.request.model, item.released_at) for item in found]


def test_a_stored_request_shows_when_it_was_released() -> None:
    """Also after a restart, which leaves no memory of the alert that was posted while the request was held."""
    world = World(group(rule()), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    world.tick({A: 0.7, C: 0.8})
    assert released(world) == [(A, 0), (C, 0)]
    generation = world.engine.generation
    world.report(world.requests()[0].id, "succeeded")
    world.tick({A: 0.7, C: 0.8})
    assert world.engine.generation == generation + 1
    world.restart()
    assert (C, world.now) in released(world)


@pytest.mark.parametrize("end", ["recovery", "withdrawal", "hold_limit"])
def test_a_request_that_ends_while_it_is_held_is_released(end: str) -> None:
    """It has no destinations, because it was never sent: those of its held alert are meant."""
    gates = Gates(settle=0, hold_limit=20 * SECOND if end == "hold_limit" else HOUR)
    world = World(group(rule()), routes=FixedRoutes((AM,), reporting=False), gates=gates)
    world.tick({A: 0.7})
    world.tick({A: 0.7, C: 0.8})
    generation, held = world.engine.generation, world.requests()[1].id
    if end == "withdrawal":
        world.now += SECOND
        world.commands.act(held, "withdraw", "ops")
    else:
        for _ in range(2):
            world.tick({A: 0.7, C: 0.8 if end == "hold_limit" else 0.1})
    ended = world.requests()[1].ended_at
    assert ended > 0
    assert world.engine.generation == generation + 1
    world.restart()
    assert released(world)[1] == (C, ended)


def test_an_alert_of_an_earlier_attempt_ends_with_it() -> None:
    """Attempt 2 has its own alert."""
    world = World(group(rule()), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    world.report(world.requests()[0].id, "failed")
    failed = world.now
    world.tick({A: 0.7})
    assert reminded(world) == [(A, failed, None), (A, 0, None)]


def test_reminders_carry_the_present_value() -> None:
    """Annotations may change, labels never."""
    world = World(group(rule(annotations={"summary": "{{ $value }}"})), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    world.tick({A: 0.95})
    (item,) = OpenAlertIndex(world.engine, world.routes).open_alerts(AM, 0)
    assert item.annotations == {"summary": "0.95"}


def test_texts_after_a_restart_are_those_before_it() -> None:
    """Until there is a sample, those of the request; then with the present value and the labels of the series."""
    texts = {"summary": "{{ $labels.instance }} {{ $value }}"}
    world = World(group(rule(annotations=texts)), routes=FixedRoutes((AM,)))

    def summary() -> str:
        (item,) = OpenAlertIndex(world.engine, world.routes).open_alerts(AM, 0)
        return (item.request.annotations if item.annotations is None else item.annotations)["summary"]

    world.tick({A: 0.7})
    world.tick({A: 0.8})
    before = summary()
    world.restart()
    restarted = summary()
    world.tick({A: 0.9})
    assert [before, restarted, summary()] == ["i1 0.8", "i1 0.7", "i1 0.9"]


@pytest.mark.parametrize("expression", [False, True])
def test_a_reminder_of_which_nothing_changed_is_the_same_object(*, expression: bool) -> None:
    """Also for an `expr` rule, whose threshold is NaN: building 10,000 alerts again costs as much as an evaluation."""
    watched = rule(annotations={"summary": "{{ $value }}"})
    if expression:
        watched = replace(watched, strategy=None)
    world = World(group(watched), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7, B: 0.8})
    reminders = OpenAlertIndex(world.engine, world.routes)
    one, two = reminders.open_alerts(AM, 0)
    world.tick({A: 0.7, B: 0.9})
    same, changed = reminders.open_alerts(AM, 0)
    assert same is one
    assert (two.annotations, changed.annotations) == ({"summary": "0.8"}, {"summary": "0.9"})


def test_a_reminder_follows_its_limit_its_labels_its_request_and_its_rule() -> None:
    """A change of any of them builds the alert again."""
    texts = {"summary": "{{ $threshold }} {{ $labels.host }}"}
    world = World(group(rule(annotations=texts)), routes=FixedRoutes((AM,), reporting=False))
    world.tick({A: 0.7})
    reminders, run = OpenAlertIndex(world.engine, world.routes), world.rule("Drifted")
    slot = world.engine.table.row(A)
    found = [reminders.open_alerts(AM, 0)[0].annotations]
    run.staged.thaw()
    run.staged.threshold[slot] = 0.5
    found.append(reminders.open_alerts(AM, 0)[0].annotations)
    run.texts.series[slot] = {"host": "h2"}
    found.append(reminders.open_alerts(AM, 0)[0].annotations)
    assert found == [{"summary": "0.6 "}, {"summary": "0.5 "}, {"summary": "0.5 h2"}]
    (record,) = world.requests()
    world.store.save_request(structs.replace(record, delivered_at=77))
    world.engine.refresh([record.id], world.store)
    assert reminders.open_alerts(AM, 0)[0].delivered_at == 77
    world.reconfigure(group(rule(annotations={"summary": "new"})))
    assert reminders.open_alerts(AM, 0)[0].annotations == {"summary": "new"}


def test_the_end_of_an_episode_is_sent_while_its_retraining_still_runs() -> None:
    """Request, rule and values are those of the last resend; the episode is not."""
    world = World(group(rule(), rule("Errors", query="errors", limit=0.1)), routes=FixedRoutes((AM,)))
    for drift, errors in ((0.7, 0.01), (0.7, 0.5), (0.1, 0.5)):
        world.say({A: errors}, signal="errors")
        world.tick({A: drift})
    reminders = OpenAlertIndex(world.engine, world.routes)
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [0]
    before = world.requests()
    world.say({A: 0.01}, signal="errors")
    world.tick({A: 0.1})
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [world.now]
    assert world.requests() == before


def test_an_alert_that_was_reminded_of_ends_with_its_attempt_and_its_episode() -> None:
    """A cached alert never outlives its request."""
    world = World(group(rule()), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    reminders = OpenAlertIndex(world.engine, world.routes)
    reminders.open_alerts(AM, 0)
    world.report(world.requests()[0].id, "failed")
    failed = world.now
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [0]
    world.tick({A: 0.7})
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [failed, 0]
    world.tick({A: 0.1})
    assert [item.ends_at for item in reminders.open_alerts(AM, 0)] == [world.now, world.now]
    assert reminders.open_alerts(AM, world.now + 1) == []


def test_other_destinations_are_not_reminded() -> None:
    """Each Alertmanager has its own requests."""
    world = World(group(rule()), routes=FixedRoutes((AM,)))
    world.tick({A: 0.7})
    assert OpenAlertIndex(world.engine, world.routes).open_alerts("team/alertmanager/1", 0) == []
