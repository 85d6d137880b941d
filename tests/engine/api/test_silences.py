"""Silences in force, and the requests that they hold."""

from __future__ import annotations

from bridge.domain.matchers import Matcher
from bridge.domain.rule import Gates
from bridge.domain.silence import Silence
from bridge.domain.times import HOUR, SECOND
from bridge.engine.api.silences import in_force
from bridge.ports import SilenceSnapshot
from tests.support.world import A, B, World, group, rule


def silence(world: World, name: str, matcher: str, start: int = 0, end: int = HOUR) -> Silence:
    return Silence(name, (Matcher.parse(matcher),), world.now + start, world.now + end)


def test_what_holds_comes_first_and_what_is_over_does_not_come() -> None:
    """One that has ended or not begun is not in force."""
    world = World(group(rule()))
    listed = (
        silence(world, "over", 'pipeline="ranking"', -HOUR, 0), silence(world, "later", "a!=b", HOUR, 2 * HOUR),
        silence(world, "soon", "a=b", 0, 20 * SECOND), silence(world, "holds", 'pipeline="ranking"', 0),
    )  # fmt: skip
    world.change(silences=lambda: SilenceSnapshot(listed, world.now))
    world.tick({A: 0.7, B: 0.7})
    view = in_force(world.engine, {}, world.now, 0, 10)
    assert view is not None
    assert [item.silence.id for item in view.silences] == ["holds", "soon"]
    assert [[record.request.model for record in item.requests] for item in view.silences] == [[A], []]
    second = in_force(world.engine, {}, world.now, 1, 1)
    assert second is not None
    assert ([item.silence.id for item in second.silences], second.total) == (["soon"], 2)


def test_whether_the_list_is_fresh_is_reported() -> None:
    """Old, never fetched, or without an Alertmanager."""
    world = World(group(rule()), gates=Gates(hold_unknown=True, settle=0))
    assert in_force(world.engine, {}, world.now, 0, 10) is None
    for fetched, fresh in ((world.now, True), (world.now - HOUR, False), (0, False)):
        world.change(silences=lambda at=fetched: SilenceSnapshot((), at))
        view = in_force(world.engine, {"http://am": "timeout"}, world.now, 0, 10)
        assert view is not None
        assert (view.fetched_at, view.fresh, view.holds_unknown) == (fetched, fresh, True)
        assert view.failing == {"http://am": "timeout"}
