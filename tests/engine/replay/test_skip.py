"""Skipping of slots in which nothing can change: the decisions are the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import Decision
from bridge.domain.rule import Breaches, Cooldown, Gates, Group, Rule, SignalQuery
from bridge.domain.times import HOUR, MINUTE, SECOND, Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.replay.replay import Replay, slots
from tests.engine.replay.test_replay import END, Kept, Script, live
from tests.support.world import QUERY_FAILED, START, A, B, C, ScriptedSource, group, rule


@dataclass
class ScriptedPiece:
    """Slots of a script, the answers as they are."""

    source: ScriptedSource
    query: SignalQuery
    slots: Sequence[Timestamp]
    offset: Duration

    def batch(self, index: int) -> EventBatch:
        return self.source.instant(self.query, self.slots[index], self.slots[index] - self.offset)

    def whole(self) -> tuple[EventBatch, NDArray[np.intp]] | None:
        try:
            found = [self.batch(index) for index in range(len(self.slots))]
        except SourceError:
            return None
        values = np.concatenate([batch.values() for batch in found])
        index = np.concatenate([batch.index for batch in found])
        slot_index = np.repeat(np.arange(len(found)), [len(batch) for batch in found])
        return replace(found[0], index=index, columns={"value": values}), slot_index


class ChunkedHistorySource(ScriptedSource):
    """Source whose history comes in chunks of seven slots."""

    def chunks(
        self, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
    ) -> list[Iterator[ScriptedPiece]]:
        return [self._walk(query, slots, offset) for query in queries]

    def _walk(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[ScriptedPiece]:
        for index in range(0, len(slots), 7):
            yield ScriptedPiece(self, query, slots[index : index + 7], offset)


def replayed(groups: Sequence[Group], script: Script, gates: Gates, until: Timestamp = END) -> tuple[Kept, int]:
    """Return the changes and reports, and the number of skipped slots."""
    table, kept = ModelTable(), Kept()
    replay = Replay(ChunkedHistorySource(table, dict(script)), table, groups, kept.take, gates=gates)
    kept.reports = [item.report for item in replay.walk(START, until)]
    return kept, replay.passed


def told(decisions: Sequence[Decision]) -> list[Decision]:
    """Return a decision without the value of a departed model, which is that of the last evaluated slot."""
    return [
        structs.replace(item, value=None, statistic=None)
        if item.after == "inactive" or item.cause == "no_data"
        else item
        for item in decisions
    ]


def steady(rng: random.Random, signals: Sequence[str], item: Group, *, faults: float) -> Script:
    """Return a script with steady values, models that go for a while, and queries that fail."""
    script: Script = {}
    for signal in signals:
        high, there = dict.fromkeys((A, B, C), False), dict.fromkeys((A, B, C), True)
        for slot in slots(item, START, END):
            for model in high:
                high[model] ^= rng.random() < 0.04
                there[model] ^= rng.random() < (0.02 if there[model] else 0.1)
            answer: dict[ModelKey, float] = {
                model: 0.7 + rng.random() / 10 if up else rng.random() / 2
                for model, up in high.items()
                if there[model] and (up or not signal.startswith("expr"))
            }
            script[signal, slot - item.offset] = QUERY_FAILED if rng.random() < faults else answer
    return script


RULES: tuple[Rule, ...] = (
    rule("Drifted", for_=20 * SECOND, keep_firing_for=50 * SECOND, cooldown=Cooldown(300 * SECOND)),
    rule("Slow", query="late", for_=40 * SECOND),
    rule("Plain", query="expr", limit=None, for_=20 * SECOND, cooldown=Cooldown(HOUR)),
    rule("Kept", query="expr", limit=None, keep_firing_for=40 * SECOND),
)


@pytest.mark.parametrize("faults", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_passed_over_changes_no_decision(seed: int, faults: float) -> None:
    """for, keep_firing_for, models that go and come, cooldown, in_flight_limit, and queries that fail."""
    print("seed", seed)
    rng = random.Random(seed)
    one = group(*RULES)
    script = steady(rng, ["drift", "late", "expr"], one, faults=faults)
    gates = Gates(in_flight_limit=400 * SECOND)
    then = live([one], script, gates)
    now, passed = replayed([one], script, gates)
    assert told(now.decisions) == told(then.decisions)
    assert {id_: now.requests[id_] for id_ in then.requests} == then.requests
    assert len(now.requests) > 3
    assert passed + len(now.reports) == 301
    assert [report.missed for report in now.reports] == [0] * len(now.reports)
    assert passed > 10


@pytest.mark.parametrize(
    "more",
    [
        {"breaches": Breaches(3, 5)},
        {"warm_up": MINUTE},
        {"policies": {Cause.NO_DATA: "fire"}},
        {"fdr": 0.05},
    ],
    ids=["breaches", "warm_up", "policies", "fdr"],
)
def test_rules_that_look_at_more_than_one_slot_are_never_passed_over(more: dict[str, Any]) -> None:
    """N of M counts slots, warm-up counts time, a policy may be for a model that is gone, `fdr` compares models."""
    one = group(rule(), rule("Other", query="late", **more))
    script = steady(random.Random(1), ["drift", "late"], one, faults=0.0)
    now, passed = replayed([one], script, Gates())
    assert passed == 0
    assert told(now.decisions) == told(live([one], script, Gates()).decisions)


def test_a_quiet_day_is_passed_over() -> None:
    """With one steady healthy value only the first slot of each chunk is evaluated."""
    one = group(rule())
    script: Script = {("drift", slot): {A: 0.2} for slot in slots(one, START, END)}
    now, passed = replayed([one], script, Gates())
    assert (len(now.reports), passed, now.decisions) == (43, 258, [])


def test_a_request_that_is_held_is_checked_in_every_slot() -> None:
    """Its gate may open at any time."""
    one = group(rule(cooldown=Cooldown(200 * SECOND)), rule("Again", query="late", cooldown=Cooldown(200 * SECOND)))
    dips = [slot for index, slot in enumerate(slots(one, START, END)) if index % 40 == 2]
    script: Script = {("drift", slot): {A: 0.1 if slot in dips else 0.7} for slot in slots(one, START, END)}
    script |= {("late", slot): {A: 0.1} for slot in slots(one, START, END)}
    then = live([one], script, Gates())
    now, _ = replayed([one], script, Gates())
    assert [item.reason for item in now.decisions] == [item.reason for item in then.decisions]
    assert [item for item in now.decisions if item.outcome == "held"]
    assert {id_: now.requests[id_].sent_at for id_ in then.requests} == {
        id_: record.sent_at for id_, record in then.requests.items()
    }


def test_a_model_leaves_when_its_time_has_come() -> None:
    """Five minutes after it was last seen the older version is replaced, though nothing else changes in that slot."""
    one = group(rule())
    script: Script = {("drift", slot): {A: 0.1, B: 0.1} for slot in slots(one, START, END)}
    for index, slot in enumerate(slots(one, START, END)):
        if index >= 17:
            script["drift", slot] = {B: 0.1, C: 0.1}
    then = live([one], script, Gates())
    now, passed = replayed([one], script, Gates())
    assert told(now.decisions) == told(then.decisions)
    assert [(item.reason, (item.slot - START) // SECOND) for item in now.decisions] == [
        ("inconclusive: no_data", 170), ("replaced: drift no longer reports it", 470),
    ]  # fmt: skip
    assert passed > 200
