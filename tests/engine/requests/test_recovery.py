"""Recovery verdicts: whether a retraining helped."""

from __future__ import annotations

from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.domain.rule import Cooldown, Gates
from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.ports import StatusReport
from tests.support.world import QUERY_FAILED, A, B, C, World, group, rule

SETTLED = Gates(settle=MINUTE, verdict_limit=HOUR)


def succeed(world: World, version: str = "") -> None:
    world.commands.report_status(
        StatusReport(world.requests()[-1].id, RequestState.SUCCEEDED, world.now, new_version=version)
    )


def test_a_new_version_that_is_healthy_recovered() -> None:
    """The rule that made the request judges the version that the coordinator reported, after `settle`."""
    world = World(group(rule()), gates=SETTLED)
    world.tick({A: 0.7})
    succeed(world, C.version)
    for _ in range(5):
        world.tick({C: 0.1})
    assert world.requests()[0].verdict is None
    world.tick({C: 0.1})
    (record,) = world.requests()
    assert (record.verdict, record.verdict_at) == ("recovered", world.now)
    assert world.decisions()[-1].reason == f"recovered: Drifted healthy for {C}"
    assert world.store.verdicts() == {"Drifted": {"recovered": 1}}


def test_a_new_version_that_fires_did_not_recover() -> None:
    """The request of its own episode is held by the cooldown of the pipeline, and counts that."""
    world = World(group(rule(cooldown=2 * MINUTE)), gates=SETTLED)
    world.tick({A: 0.7})
    succeed(world, C.version)
    for _ in range(12):
        world.tick({A: 0.1, C: 0.8})
    first, second = world.requests()
    assert (first.verdict, second.request.model, second.state) == ("not_recovered", C, "requested")
    assert (first.unhelpful, second.unhelpful) == (0, 1)


def test_the_same_version_still_breached_is_requested_again_only_when_that_is_known() -> None:
    """No new version was reported: the model itself is judged, after `settle`."""
    world = World(group(rule()), gates=SETTLED)
    world.tick({A: 0.7})
    succeed(world)
    for _ in range(5):
        world.tick({A: 0.7})
    assert len(world.requests()) == 1
    world.tick({A: 0.7})
    assert [(item.request.attempt, item.verdict) for item in world.requests()] == [(1, "not_recovered"), (2, None)]


def test_a_version_that_never_shows_is_inconclusive() -> None:
    """The verdict is inconclusive after verdict_limit, and another request follows."""
    world = World(group(rule(), interval=10 * MINUTE), gates=SETTLED)
    world.tick({A: 0.7})
    succeed(world, "99")
    for _ in range(5):
        world.tick({A: 0.7, B: 0.1})
    assert world.requests()[0].verdict is None
    world.tick({A: 0.7, B: 0.1})
    assert world.requests()[0].verdict == "inconclusive"
    assert [item.reason for item in world.decisions() if item.outcome == "judged"] == [
        "inconclusive: Drifted gave no verdict within verdict.limit"
    ]


def test_a_failed_query_gives_no_recovery_verdict() -> None:
    """The verdict waits for a successful query, also across a restart."""
    world = World(group(rule()), gates=Gates(settle=10 * SECOND, verdict_limit=HOUR))
    world.tick({A: 0.7})
    succeed(world)
    for _ in range(3):
        world.tick(QUERY_FAILED)
    assert world.requests()[0].verdict is None
    world.restart()
    world.tick({A: 0.1})
    assert world.requests()[0].verdict == "recovered"


def test_a_removed_rule_gives_no_recovery_verdict() -> None:
    """The verdict is not left open forever."""
    world = World(group(rule()), gates=SETTLED)
    world.tick({A: 0.7})
    succeed(world)
    world.reconfigure(group(rule("Other")))
    for _ in range(6):
        world.tick({A: 0.1})
    assert world.requests()[0].verdict == "inconclusive"


def test_a_rule_that_is_only_kept_firing_has_not_decided_yet() -> None:
    """Healthy again within keep_firing_for: neither recovered nor not, until it resolves."""
    world = World(group(rule(keep_firing_for=30 * SECOND)), gates=Gates(settle=10 * SECOND, verdict_limit=HOUR))
    world.tick({A: 0.7})
    succeed(world)
    for _ in range(3):
        world.tick({A: 0.1})
    assert world.requests()[0].verdict is None
    world.tick({A: 0.1})
    assert world.requests()[0].verdict == "recovered"


def test_a_good_new_version_has_not_helped_while_the_old_one_serves_on_and_fires() -> None:
    """A canary, or for an expression a version that never appeared: the verdict follows when the old one is retired."""
    for one in (rule(), rule("Pasted", limit=None)):
        world = World(group(one), gates=Gates(settle=0, verdict_limit=HOUR))
        world.tick({A: 0.7})
        succeed(world, C.version)
        for _ in range(3):
            world.tick({A: 0.7} if one.strategy is None else {A: 0.7, C: 0.1})
        assert world.requests()[0].verdict is None
        world.tick({} if one.strategy is None else {A: 0.1, C: 0.1})
        assert world.requests()[0].verdict == "recovered"


def test_a_rule_that_joined_later_counts_for_the_recovery() -> None:
    """The leader is healthy again, the other rule of the episode is not: not recovered, and another request."""
    world = World(group(rule("First"), rule("Second", query="errors", limit=0.5)))
    for drift, errors in ((0.9, 0.1), (0.9, 0.9)):
        world.say({A: errors}, signal="errors")
        world.tick({A: drift})
    succeed(world)
    for _ in range(2):
        world.say({A: 0.9}, signal="errors")
        world.tick({A: 0.1})
    assert [(item.request.attempt, item.verdict) for item in world.requests()] == [(1, "not_recovered"), (2, None)]


def test_a_retraining_by_hand_is_judged_by_all_rules_that_know_the_model() -> None:
    """It helped, so later requests count from zero."""
    world = World(group(rule(max_attempts=1)))
    world.tick({A: 0.9})
    world.report(world.requests()[0].id, "failed")
    world.tick({A: 0.9})
    world.tick({A: 0.1})
    made = world.commands.create(A, "by hand", "ada")
    world.report(made.id, "succeeded")
    world.tick({A: 0.1})
    world.tick({A: 0.9})
    last = world.requests()[-1]
    first = world.store.request(made.id)
    assert first is not None
    assert (first.verdict, last.state, last.unhelpful) == ("recovered", "requested", 0)


def test_versions_that_follow_too_fast_to_be_judged_are_counted_when_they_are() -> None:
    """`for` longer than the cooldown: the next request goes before the last one's verdict; in the end it is stopped."""
    for wait, cooldown in ((20, 40), (40, 20)):
        one = rule(for_=wait * SECOND, max_attempts=2, cooldown=Cooldown(cooldown * SECOND, HOUR))
        world = World(group(one), gates=Gates(settle=10 * SECOND))
        version = 1
        for _ in range(100):
            world.tick({ModelKey("shop", "ranking", str(version)): 0.9})
            for record in world.requests():
                if record.state.in_flight:
                    version += 1
                    world.commands.report_status(
                        StatusReport(record.id, RequestState.SUCCEEDED, world.now, new_version=str(version))
                    )
        assert len(world.requests()) <= 4
        assert world.requests()[-1].hold == "max_attempts"


def test_without_a_reported_version_the_one_that_the_series_show_counts() -> None:
    """A version that is first seen after the request; one that served before it is no result."""
    world = World(group(rule()), gates=SETTLED)
    other = ModelKey(A.project, A.pipeline, "6")
    world.tick({A: 0.1, other: 0.1})
    world.tick({A: 0.7, other: 0.1})
    succeed(world)
    world.tick({A: 0.7, other: 0.1})
    assert world.requests()[0].new_version == ""
    for _ in range(7):
        world.tick({C: 0.1, other: 0.1})
    (record,) = world.requests()
    assert (record.new_version, record.verdict) == (C.version, "recovered")
