"""Backfill of strategy state: once, in portions if it is long, and across kills and failures."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.rule import Condition, Rule, SignalQuery, StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.state import backfill, strategy_state
from bridge.strategies import registry
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig
from tests.support.world import A, Answer, B, ScriptedSource, World, group, rule

HIGH, LOW = {A: 0.9}, {A: 0.1}


class Streak(RetrainStrategy):
    """Strategy that is breached from the 30th value in a row above 0.5."""

    name = "streak"
    Config = StrategyConfig
    state_dtype = np.dtype([("count", np.int64)])
    history = 40 * 10 * SECOND

    def __init__(self, config: StrategyConfig) -> None:
        self.config = config

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        high = batch.values() > 0.5
        state["count"] = np.where(high, state["count"] + 1, 0)
        count = state["count"].astype(float)
        code = np.where(count >= 30, np.int8(Code.BREACHED), np.int8(Code.OK))
        return Verdicts(code, np.full(len(batch), Cause.NONE, np.int8), count, np.full(len(batch), 30.0))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**registry.strategies(), "streak": Streak}
    monkeypatch.setattr(registry, "strategies", lambda: known)


def streak(name: str = "Streak") -> Rule:
    return replace(rule(name), strategy=StrategySpec("streak", {}))


def begun(*rules: Rule, slots: int = 50, answer: Answer = HIGH) -> World:
    """Return a world with unread history."""
    world = World(group(*(rules or (streak(),))))
    world.pass_slots(*[answer] * slots)
    world.source.asked.clear()
    return world


def verdict(world: World, name: str = "Streak") -> tuple[str, str, float]:
    now = world.rule(name).live
    row = world.engine.table.row(A)
    return Code(now.code[row]).name, Cause(now.cause[row]).name, float(now.statistic[row])


def portions_of(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Limit each tick to `batches` slots of history."""

    def limited(interval: int, clock: object) -> Callable[[], bool]:
        remaining = iter(range(batches - 1))
        return lambda: next(remaining, None) is None

    monkeypatch.setattr(backfill, "time_budget", limited)


def test_a_cold_start_sees_the_history_first() -> None:
    """The history has 40 slots: the first live slot is the 41st in a row and makes a request."""
    world = begun()
    world.tick(HIGH)
    assert verdict(world) == ("BREACHED", "NONE", 41.0)
    assert len(world.source.asked) == 41
    assert world.states() == [(A, "requested")]
    assert [record.request.triggered_at for record in world.requests()] == [world.now]


def test_nothing_is_decided_of_the_history() -> None:
    """The breach is over: there is no request, and no decision about a past slot."""
    world = begun()
    world.tick(LOW)
    assert world.requests() == []
    assert {item.slot for item in world.decisions()} <= {world.now}


def test_a_restart_does_not_query_the_history_again() -> None:
    """The state was stored with the tick."""
    world = begun()
    world.tick(HIGH)
    world.restart()
    world.tick(HIGH)
    assert verdict(world)[2] == 42.0
    assert world.source.asked == [("drift", world.now)]


def test_a_rarely_written_memory_requests_the_slots_since(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state was written three slots before the restart."""
    monkeypatch.setattr(strategy_state, "SMALL", 0)
    world = begun()
    for _ in range(4):
        world.tick(HIGH)
    world.restart()
    world.tick(HIGH)
    assert verdict(world)[2] == 45.0
    assert len(world.source.asked) == 4


def test_a_long_history_is_seen_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule warms up meanwhile; then the state is the same as after one read, recent slots included."""
    portions_of(monkeypatch, 15)
    world = begun()
    causes = []
    for _ in range(4):
        world.tick(HIGH)
        causes.append(verdict(world)[:2])
    assert causes == [("INCONCLUSIVE", "WARMING_UP")] * 2 + [("BREACHED", "NONE")] * 2
    assert verdict(world)[2] == 44.0
    assert len(world.source.asked) == 40 + 2 + 4  # no slot of the history twice; two that went by meanwhile


def test_kills_while_it_is_seen_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds for any portion size and any time of the kill."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    portions_of(monkeypatch, draw.randint(3, 12))
    world = begun(answer=HIGH)
    for _ in range(40):
        world.tick(HIGH)
        if draw.random() < 0.5:
            world.restart()
    world.tick(HIGH)
    assert verdict(world) == ("BREACHED", "NONE", 81.0)


def test_a_rule_that_is_new_in_a_running_bridge_sees_it_too() -> None:
    """A reload adds it; the other rule continues."""
    world = World(group(rule()))
    for _ in range(45):
        world.tick(HIGH)
    world.reconfigure(group(rule(), streak()))
    world.tick(HIGH)
    assert verdict(world)[2] == 41.0


def test_after_a_long_time_away_a_new_rule_sees_up_to_the_present() -> None:
    """It also reads slots beyond the catch-up limit, which are never evaluated."""
    world = World(group(rule(), interval=5 * MINUTE))
    world.tick(HIGH)
    world.pass_slots(*[HIGH] * 60)
    world.reconfigure(group(rule(), streak(), interval=5 * MINUTE))
    world.tick(HIGH)
    assert verdict(world)[2] == 14.0  # 400 s of history hold two slots; eleven are caught up, and the present one


def test_conditions_of_composite_rules_see_theirs() -> None:
    """Each condition reads its own signal."""
    conditions = (Condition("drift", StrategySpec("streak", {})), Condition("slow", StrategySpec("streak", {})))
    world = World(group(rule("Both", limit=None, conditions=conditions, at_least=2)))
    for _ in range(50):
        world.say(HIGH, signal="slow")
        world.pass_slots(HIGH)
    world.say(HIGH, signal="slow")
    world.tick(HIGH)
    assert verdict(world, "Both")[:2] == ("BREACHED", "NONE")
    assert len(world.source.asked) == 82


def test_models_that_are_gone_leave_nothing_behind() -> None:
    """A model that occurs only in history is not expected to report."""
    world = begun(answer={A: 0.9, B: 0.9})
    world.tick(HIGH)
    assert [(item.model, item.after) for item in world.decisions()] == [(A, "firing")]


class Forgetful(ScriptedSource):
    """Source that answers live queries and fails the first `failures` history queries."""

    failures = 3

    def history(self, query: SignalQuery, slots: Sequence[int], offset: int) -> Iterator[EventBatch]:
        if self.failures:
            self.failures -= 1
            raise SourceError("HTTP 503 from the source", reason="unavailable", transient=True)
        return super().history(query, slots, offset)


def forgetful(world: World, failures: int) -> None:
    source = Forgetful(world.engine.table, world.script)
    source.failures = failures
    world.change(source=source)


def test_history_that_cannot_be_queried_is_queried_again_later(caplog: pytest.LogCaptureFixture) -> None:
    """It retries after 2, 4 and 8 slots and logs once; the rule warms up meanwhile."""
    world = begun()
    forgetful(world, 3)
    causes = []
    for _ in range(16):
        world.tick(HIGH)
        causes.append(verdict(world)[1])
    assert causes == ["WARMING_UP"] * 14 + ["NONE"] * 2
    assert verdict(world)[2] == 41.0 + 1.0
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "history query for a strategy failed and will be retried"
    ]


def test_history_that_can_never_be_queried_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    """After six attempts the strategy learns from live samples instead of warming up forever."""
    world = begun()
    forgetful(world, 100)
    causes = []
    for _ in range(70):
        world.tick(LOW)
        causes.append(verdict(world)[1])
    assert causes == ["WARMING_UP"] * 62 + ["NONE"] * 8
    assert world.source.failures == 94  # type: ignore[attr-defined]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"][-1] == (
        "strategy state could not be rebuilt"
    )


def test_an_answer_that_may_not_be_whole_is_not_learnt_from() -> None:
    """The same rule applies to live slots."""
    world = begun()
    world.source.partial = True
    world.tick(HIGH)
    world.source.partial = False
    world.tick(HIGH)
    assert verdict(world)[2] == 1.0


def test_a_strategy_that_fails_over_the_past_starts_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged, and live slots are evaluated."""
    world = begun()
    whole = Streak.analyse_batch

    def failing(self: Streak, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        if batch.slot < world.now:
            raise ValueError("cannot")
        return whole(self, batch, state)

    monkeypatch.setattr(Streak, "analyse_batch", failing)
    world.tick(HIGH)
    assert verdict(world)[2] == 1.0
    assert "strategy state could not be rebuilt" in caplog.text


def test_of_a_very_long_history_some_of_the_older_slots_are_left_out() -> None:
    """Two weeks at one slot a minute: the latest 5,000 and every fourth before; at five minutes, all."""
    minutely = replace(group(streak()), interval=MINUTE)
    older, newest = backfill._slots(minutely, strategy_state.COLD, 30 * DAY, 14 * DAY)
    assert (newest[0], newest[-1], len(newest)) == (30 * DAY - 4999 * MINUTE, 30 * DAY, 5000)
    assert (older[0], older[1] - older[0], len(older)) == (16 * DAY + MINUTE, 4 * MINUTE, 3790)
    assert newest[0] - older[-1] <= 4 * MINUTE
    (whole,) = backfill._slots(replace(minutely, interval=5 * MINUTE), strategy_state.COLD, 30 * DAY, 14 * DAY)
    assert (whole[0], len(whole)) == (16 * DAY + 5 * MINUTE, 4032)


def test_a_tick_gives_a_fifth_of_its_interval_to_history() -> None:
    """At least a second, at most ten."""
    for interval, seconds in ((SECOND, 1.0), (10 * SECOND, 2.0), (MINUTE, 10.0), (HOUR, 10.0)):
        times = iter([100.0, 100.0 + seconds - 0.01, 100.0 + seconds])
        enough = backfill.time_budget(interval, times.__next__)
        assert [enough(), enough()] == [False, True]
