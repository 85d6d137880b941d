"""Time of the last missed episode, which a crash loop must still report."""

from __future__ import annotations

from bridge.engine.api.queries import EngineQueries
from tests.support.world import A, World, group, rule


def queries(world: World) -> EngineQueries:
    return EngineQueries(
        world.engine, world.store, world.store, world.store,
        configured=list, why_not_ready=str, configuration=str, now=lambda: world.now,
    )  # fmt: skip


def test_a_missed_episode_is_reported_by_every_process_that_follows() -> None:
    """The process that found it may end before a scrape."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    assert queries(world).last_missed() == 0
    world.pass_slots({A: 0.9}, {A: 0.1})
    world.restart()
    world.tick({A: 0.1})
    ended = world.now - world.group.interval
    assert queries(world).last_missed() == ended
    for _ in range(3):
        world.restart()
        world.tick({A: 0.1})
        assert queries(world).last_missed() == ended
