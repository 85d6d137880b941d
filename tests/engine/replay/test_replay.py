"""Replay: past slots through the live engine give what the live engine gave."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import msgspec
import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import Decision, RequestRecord
from bridge.domain.route import Route
from bridge.domain.rule import Breaches, Budget, Cooldown, Gates, Group, Rule, SignalQuery, Storm
from bridge.domain.time_interval import TimeInterval, TimePeriod
from bridge.domain.times import HOUR, SECOND, Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.access import EngineSettings
from bridge.engine.engine import Engine
from bridge.engine.replay.checkpoint import Checkpoint
from bridge.engine.replay.replay import NoDestinations, Replay, slots
from bridge.ports import DecisionFilter, TickChanges, TickReport
from bridge.store.memory import MemoryStore
from tests.support.world import QUERY_FAILED, START, A, B, C, ScriptedSource, group, rule

Script = dict[tuple[str, Timestamp], dict[ModelKey, float] | SourceError]
END = START + 300 * 10 * SECOND


@dataclass
class Kept:
    """Changes and reports of a replay."""

    decisions: list[Decision] = field(default_factory=list)
    requests: dict[str, RequestRecord] = field(default_factory=dict)
    reports: list[TickReport] = field(default_factory=list)

    def take(self, changes: TickChanges) -> None:
        self.decisions += changes.decisions
        self.requests.update({record.id: record for record in changes.requests})


def live(groups: Sequence[Group], script: Script, gates: Gates, until: Timestamp = END) -> Kept:
    """Evaluate every slot at its time, with the memory store."""
    table, kept = ModelTable(), Kept()
    store = MemoryStore()
    engine = Engine(ScriptedSource(table, dict(script)), store, table)
    engine.configure(groups, EngineSettings(NoDestinations(), gates))
    due = sorted((slot, index) for index, item in enumerate(groups) for slot in slots(item, START, until))
    for slot, index in due:
        evaluation = engine.evaluate(groups[index].name, slot)
        assert evaluation is not None
        kept.reports.append(evaluation.report)
    kept.decisions = store.decisions(DecisionFilter(limit=1_000_000))[::-1]
    with engine.read() as state:
        kept.requests = dict(state.episode_index.requests)
    return kept


def replayed(groups: Sequence[Group], script: Script, gates: Gates, until: Timestamp = END) -> Kept:
    """Evaluate the same slots from history."""
    table, kept = ModelTable(), Kept()
    replay = Replay(ScriptedSource(table, dict(script)), table, groups, kept.take, gates=gates)
    kept.reports = [item.report for item in replay.walk(START, until)]
    return kept


def scripted(rng: random.Random, signals: Sequence[str], groups: Sequence[Group], *, faults: float) -> Script:
    """Return a script with changing values, models that come and go, and queries that fail."""
    script: Script = {}
    for item in groups:
        high = dict.fromkeys((A, B, C), False)
        for slot in slots(item, START, END):
            for signal in signals:
                for model in high:
                    high[model] ^= rng.random() < 0.08
                answer = {
                    model: 0.7 + rng.random() / 10 if up else 0.3
                    for model, up in high.items()
                    if rng.random() > 0.05 and (up or not signal.startswith("expr"))
                }
                script[signal, slot - item.offset] = QUERY_FAILED if rng.random() < faults else answer
    return script


RULES: tuple[Rule, ...] = (
    rule("Drifted", for_=20 * SECOND, keep_firing_for=30 * SECOND, cooldown=Cooldown(300 * SECOND)),
    rule("Often", breaches=Breaches(3, 5)),
    rule("Late", query="late", warm_up=60 * SECOND),
    rule("Plain", query="expr", limit=None, for_=20 * SECOND, cooldown=Cooldown(HOUR)),
    rule("Kept", query="expr", limit=None, keep_firing_for=40 * SECOND),
)


@pytest.mark.parametrize("faults", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_a_replay_decides_as_the_live_bridge_did(seed: int, faults: float) -> None:
    """Slot by slot the same decisions and the same requests, with two groups, gates, and queries that fail."""
    rng = random.Random(seed)
    one = group(*RULES)
    two = replace(group(rule("Other", query="late")), name="h", interval=30 * SECOND, offset=5 * SECOND)
    two = replace(two, rules=(replace(two.rules[0], group="h", order=9),))
    script = scripted(rng, ["drift", "late", "expr"], [one, two], faults=faults)
    gates = Gates(per_pipeline=Budget(3, HOUR), in_flight_limit=600 * SECOND)
    then, now = live([one, two], script, gates), replayed([one, two], script, gates)
    print("seed", seed)
    assert now.decisions == then.decisions
    assert {id_: record for id_, record in now.requests.items() if id_ in then.requests} == then.requests
    assert len(now.requests) >= len(then.requests) > 3
    assert [(report.group, report.slot) for report in now.reports] == [(item.group, item.slot) for item in then.reports]


class Broken(ScriptedSource):
    """History that ends with the error of a slot, as a range query that fails does."""

    walks: list[int]

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        self.walks.append(slots[0])
        return super().history(query, slots, offset)


def test_an_error_is_its_slots_and_the_walk_continues_with_the_next() -> None:
    """One slot is a query error; the walk is not begun anew for the others."""
    table, kept = ModelTable(), Kept()
    begin = group(rule()).slot_at(START + 9 * SECOND)
    script: Script = {("drift", begin + index * 10 * SECOND): {A: 0.7} for index in range(6)}
    script["drift", begin + 30 * SECOND] = QUERY_FAILED
    source = Broken(table, dict(script))
    source.walks = []
    replay = Replay(source, table, [group(rule())], kept.take)
    reports = [item.report for item in replay.walk(begin, begin + 50 * SECOND)]
    assert [bool(report.errors) for report in reports] == [False, False, False, True, False, False]
    assert source.walks == [begin, begin + 40 * SECOND]
    assert [decision.outcome.value for decision in kept.decisions] == ["requested", "error", "none"]


def test_a_walk_in_parts_is_as_one_in_a_whole() -> None:
    """History is walked through once, whatever the parts."""
    table, kept = ModelTable(), Kept()
    source = Broken(table, {})
    source.walks = []
    replay = Replay(source, table, [group(rule())], kept.take)
    begin = group(rule()).slot_at(START)
    for part in range(5):
        since = begin + part * 100 * SECOND
        assert len(list(replay.walk(since, since + 99 * SECOND, end=begin + 500 * SECOND))) == 10
    assert source.walks == [begin]


def test_nothing_is_queued_for_anybody() -> None:
    """A replay has no destinations: requests are closed with their episodes."""
    table, changes = ModelTable(), list[TickChanges]()
    begin = group(rule()).slot_at(START + 9 * SECOND)
    script: Script = {("drift", begin): {A: 0.7}, ("drift", begin + 10 * SECOND): {A: 0.1}}
    replay = Replay(ScriptedSource(table, dict(script)), table, [group(rule())], changes.append)
    list(replay.walk(begin, begin + 10 * SECOND))
    assert [item.deliveries for item in changes] == [[], []]
    assert [record.state.value for item in changes for record in item.requests] == ["requested", "closed"]


# ---------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_in_new_processes_is_as_one_in_a_whole(seed: int) -> None:
    """Stopped and resumed from bytes at random slots: the same decisions and requests."""
    rng = random.Random(seed)
    print("seed", seed)
    rules = (*RULES, rule("Grows", cooldown=Cooldown(60 * SECOND, HOUR, 2.0), policies={Cause.NO_DATA: "fire"}))
    one = group(*rules)
    script = scripted(rng, ["drift", "late", "expr"], [one], faults=0.03)
    gates = Gates(storm=Storm(0.3, 2, 120 * SECOND), per_pipeline=Budget(3, HOUR), in_flight_limit=600 * SECOND)
    whole, parts = replayed([one], script, gates), Kept()
    cuts = sorted(rng.sample(range(START, END), 12))
    saved: bytes | None = None
    for since, until in pairwise([START, *cuts, END + 1]):
        table = ModelTable()
        resumed = None if saved is None else msgspec.msgpack.decode(saved, type=Checkpoint)
        source = ScriptedSource(table, dict(script))
        replay = Replay(source, table, [one], parts.take, gates=gates, resumed=resumed)
        parts.reports += (item.report for item in replay.walk(since, until - 1))
        saved = msgspec.msgpack.encode(replay.checkpoint())
    assert parts.decisions == whole.decisions
    assert parts.requests == whole.requests
    assert len(parts.requests) > 3
    assert [report.slot for report in parts.reports] == [report.slot for report in whole.reports]


# ---------------------------------------------------------------- edges


class Short(ScriptedSource):
    """Source that omits the last slot of every walk."""

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        return super().history(query, slots[:-1], offset)


def test_a_history_that_ends_too_early_is_a_defect_and_not_silence() -> None:
    """A missing slot does not count as healthy."""
    table, begin = ModelTable(), group(rule()).slot_at(START)
    replay = Replay(Short(table), table, [group(rule())], Kept().take)
    with pytest.raises(RuntimeError, match="the history of 'drift' ended before slot"):
        list(replay.walk(begin, begin + 50 * SECOND))


def test_long_replays_walk_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No list of slots grows with the period."""
    monkeypatch.setattr("bridge.engine.replay.replay.MOST_SLOTS", 4)
    table, begin = ModelTable(), group(rule()).slot_at(START)
    source = Broken(table, {})
    source.walks = []
    replay = Replay(source, table, [group(rule(), rule("Same"))], Kept().take)
    assert len(list(replay.walk(begin, begin + 90 * SECOND))) == 10
    assert source.walks == [begin, begin + 40 * SECOND, begin + 80 * SECOND]
    replay.close()


def test_time_intervals_mute_the_past_as_they_do_the_present() -> None:
    """Time intervals of routes mute without destinations too."""
    always = TimeInterval("always", (TimePeriod(),))
    routes = NoDestinations(Route("team", mute=(always,)), {"region": "eu"})
    begin = group(rule()).slot_at(START)
    table, kept = ModelTable(), Kept()
    source = ScriptedSource(table, {("drift", begin): {A: 0.7}})
    list(Replay(source, table, [group(rule())], kept.take, routing=routes).walk(begin, begin))
    (record,) = kept.requests.values()
    assert (record.state.value, record.hold and record.hold.value) == ("held", "muted")
    assert routes.identity({"a": "b"}) == {"region": "eu", "a": "b"}
    assert routes.recipients({}).receivers == ("team",)
    assert NoDestinations().muted_until({}, begin) == 0
    assert NoDestinations().wants_resolved("team/webhook/0") is False
