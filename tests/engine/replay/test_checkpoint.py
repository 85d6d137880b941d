"""Checkpoints: a replay stops between two slots and continues in another process, strategy state included."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import Condition, Gates, Rule, StrategySpec
from bridge.domain.times import HOUR, SECOND
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.replay.checkpoint import Checkpoint
from bridge.engine.replay.replay import Replay
from bridge.strategies import registry
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig
from tests.engine.replay.test_replay import END, Kept, Script, scripted
from tests.support.world import START, A, B, ScriptedSource, group, rule


class Mean(RetrainStrategy):
    """Breached while the mean of all values so far, the newer ones weighing more, is above 0.5."""

    name = "mean"
    Config = StrategyConfig
    state_dtype = np.dtype([("mean", np.float64)])

    def __init__(self, config: StrategyConfig) -> None:
        self.config = config

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        state["mean"] += (batch.values() - state["mean"]) / 4
        high = state["mean"] > 0.5
        none = np.full(len(batch), Cause.NONE, np.int8)
        code = np.where(high, Code.BREACHED, Code.OK).astype(np.int8)
        return Verdicts(code, none, state["mean"].copy(), np.full(len(batch), 0.5))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**registry.strategies(), "mean": Mean}
    monkeypatch.setattr(registry, "strategies", lambda: known)


MEAN = StrategySpec("mean", {})
CONDITIONS = (Condition("drift", MEAN), Condition("late", StrategySpec("threshold", {"max": 0.6})))
RULES: tuple[Rule, ...] = (
    replace(rule("Mean", for_=20 * SECOND), strategy=MEAN),
    rule("Both", limit=None, conditions=CONDITIONS, at_least=2),
)


def in_parts(script: Script, cuts: list[int]) -> Kept:
    """One process after the other; only bytes go from one to the next."""
    kept, saved = Kept(), b""
    for since, until in pairwise([START, *cuts, END + 1]):
        table = ModelTable()
        resumed = msgspec.msgpack.decode(saved, type=Checkpoint) if saved else None
        source = ScriptedSource(table, dict(script))
        replay = Replay(source, table, [group(*RULES)], kept.take, gates=Gates(), resumed=resumed)
        kept.reports += (item.report for item in replay.walk(since, until - 1))
        saved = msgspec.msgpack.encode(replay.checkpoint())
    return kept


@pytest.mark.parametrize("seed", range(4))
def test_what_strategies_remember_is_in_the_checkpoint(seed: int) -> None:
    """Also that of the conditions of a composite rule; nothing is read twice from history."""
    print("seed", seed)
    rng = random.Random(seed)
    script = scripted(rng, ["drift", "late"], [group(*RULES)], faults=0.02)
    whole, parts = in_parts(script, []), in_parts(script, sorted(rng.sample(range(START, END), 10)))
    assert parts.decisions == whole.decisions
    assert parts.requests == whole.requests
    assert [item for item in whole.decisions if item.rule == "Both" and item.after == "firing"]
    assert [item for item in whole.decisions if item.rule == "Mean" and item.after == "firing"]


def test_models_keep_their_slots() -> None:
    """In the order in which they were first seen."""
    begin = group(rule()).slot_at(START)
    table = ModelTable()
    source = ScriptedSource(table, {("drift", begin): {B: 0.1, A: 0.1}})
    first = Replay(source, table, [group(rule())], Kept().take)
    list(first.walk(begin, begin))
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(first.checkpoint()), type=Checkpoint)
    again = ModelTable()
    Replay(ScriptedSource(again), again, [group(rule())], Kept().take, resumed=saved)
    assert again.models == [B, A]


def test_the_cooldown_continues_counting() -> None:
    """A request before the cut holds one after it."""
    patient = group(rule(cooldown=HOUR))
    begin = patient.slot_at(START)
    script: Script = {("drift", begin + index * 10 * SECOND): {A: 0.1 if index == 2 else 0.7} for index in range(6)}
    kept, table = Kept(), ModelTable()
    first = Replay(ScriptedSource(table, dict(script)), table, [patient], kept.take)
    list(first.walk(begin, begin + 20 * SECOND))
    saved = first.checkpoint()
    table = ModelTable()
    second = Replay(ScriptedSource(table, dict(script)), table, [patient], kept.take, resumed=saved)
    list(second.walk(begin + 30 * SECOND, begin + 50 * SECOND))
    assert [(record.state.value, record.hold and record.hold.value) for record in kept.requests.values()] == [
        ("closed", None), ("held", "cooldown"),
    ]  # fmt: skip


def test_labels_of_samples_are_in_the_checkpoint() -> None:
    """A request that is made after the cut has them in its annotations."""
    text = {"summary": "{{ $labels.instance }} of {{ $labels.pipeline }}"}
    one = group(rule(for_=40 * SECOND, annotations=text))
    begin = one.slot_at(START)
    script: Script = {("drift", begin + index * 10 * SECOND): {A: 0.7} for index in range(6)}
    kept, table = Kept(), ModelTable()
    first = Replay(ScriptedSource(table, dict(script)), table, [one], kept.take)
    list(first.walk(begin, begin + 20 * SECOND))
    run = first.all_rules()["Drifted"]
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(first.checkpoint()), type=Checkpoint)
    table = ModelTable()
    second = Replay(ScriptedSource(table, dict(script)), table, [one], kept.take, resumed=saved)
    assert second.all_rules()["Drifted"].texts.series == run.texts.series == {0: {"instance": "i1", **A.labels()}}
    list(second.walk(begin + 30 * SECOND, begin + 50 * SECOND))
    (record,) = kept.requests.values()
    assert record.request.annotations == {"summary": "i1 of ranking"}
