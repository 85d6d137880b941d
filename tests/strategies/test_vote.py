"""Votes by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bridge.config.strategy import strategy_spec
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery, StrategySpec
from bridge.domain.times import DAY, HOUR
from bridge.domain.verdict import Cause, Code
from bridge.files.yaml import Document, parse
from bridge.strategies.registry import build
from bridge.strategies.stats.seasonal_baseline import ALL_HOURS

EXAMPLE: dict[str, Any] = {
    "at_least": 2,
    "of": [{"threshold": {"max": 0.8}}, {"threshold": {"min": 0.1}}, {"threshold": {"max": 0.9}}],
}
WEARS = {"decay": {"min": 0.85, "lead_time": "3d", "window": "64h"}}
NAN = float("nan")
NO_COUNTS = "strategy 'burn_rate' needs the columns errors, total, but signal 'p95' has only value"


class Story:
    """Run of a strategy over the slots of one model."""

    def __init__(self, **params: Any) -> None:
        self.strategy = build(StrategySpec("vote", params))
        self.state = self.strategy.new_state(1)
        self.slot = 1_700_006_400_000

    def see(self, value: float, **columns: float) -> str:
        self.slot += HOUR
        every = {"value": value, **columns}
        arrays = {name: np.array([number]) for name, number in every.items()}
        self.batch = EventBatch(
            "drift", EventKind.DRIFT, self.slot, ModelTable(), np.zeros(1, np.int32), arrays
        )  # fmt: skip
        self.last = self.strategy.analyse_batch(self.batch, self.state)
        code, cause = Code(self.last.code[0]), Cause(self.last.cause[0])
        return f"{code.name} {self.last.statistic[0]:.0f}" if cause is Cause.NONE else cause.name

    def reason(self) -> str:
        return self.strategy.describe(self.batch, 0, self.last)


def limits(*most: float, **more: Any) -> dict[str, Any]:
    return {"of": [{"threshold": {"max": limit, **more}} for limit in most]}


def test_the_required_votes_must_come_in_one_slot() -> None:
    """Two of three limits."""
    story = Story(at_least=2, **limits(0.5, 0.7, 0.9))
    assert [story.see(value) for value in (0.4, 0.6, 0.8, 0.95)] == ["OK 0", "OK 1", "BREACHED 2", "BREACHED 3"]
    assert story.last.threshold[0] == 2


def test_a_vote_counts_for_the_configured_slots() -> None:
    """A jump and a fall, in one slot or two slots later, but not three slots later."""
    both = {"at_least": 2, "of": [{"threshold": {"max": 0.8}}, {"threshold": {"min": 0.2}}], "within": 3}
    story = Story(**both)
    assert [story.see(value) for value in (0.9, 0.5, 0.1)] == ["OK 1", "OK 1", "BREACHED 2"]
    assert [story.see(value) for value in (0.5, 0.5, 0.5)] == ["OK 1", "OK 1", "OK 0"]
    assert [story.see(value) for value in (0.9, 0.5, 0.5, 0.1)] == ["OK 1", "OK 1", "OK 1", "OK 1"]


def test_a_slot_without_a_number_passes_all_the_same() -> None:
    """Inconclusive slots do not extend an old vote."""
    story = Story(at_least=2, within=2, of=[{"threshold": {"max": 0.8}}, {"threshold": {"min": 0.2}}])
    assert [story.see(value) for value in (0.9, NAN, 0.1)] == ["OK 1", "NAN", "OK 1"]


def test_what_is_not_known_decides_only_where_it_could() -> None:
    """The line is unknown: one exceeded limit is not enough, none at all is healthy."""
    one_of = Story(at_least=1, of=[WEARS, {"threshold": {"min": 0.85}}])
    both = Story(at_least=2, of=[WEARS, {"threshold": {"min": 0.85}}])
    assert (one_of.see(0.8), both.see(0.8)) == ("BREACHED 1", "WARMING_UP")
    assert (one_of.see(0.9), both.see(0.9)) == ("WARMING_UP", "OK 0")


def test_every_member_has_its_own_memory() -> None:
    """A trend that will cross, and a level that is too low."""
    story = Story(at_least=2, of=[WEARS, {"threshold": {"min": 0.875}}])
    said = [story.see(0.9 - 0.012 * hour / 24) for hour in range(60)]
    assert said[40] == "OK 1"
    assert said[59] == "BREACHED 2"


def test_the_band_keeps_and_does_not_start() -> None:
    """Between clear and max."""
    story = Story(at_least=2, **limits(0.5, 0.7, clear=0.3))
    assert [story.see(value) for value in (0.6, 0.8, 0.2)] == ["BAND 1", "BREACHED 2", "OK 0"]


def test_the_reason_lists_the_reasons_of_the_voters() -> None:
    """With the number of slots, if more than one."""
    story = Story(at_least=2, within=3, of=[{"threshold": {"max": 0.8}}, {"threshold": {"min": 0.2}}])
    story.see(0.9)
    story.see(0.1)
    assert story.reason() == "drift: 2 of 2 within 3 slots: threshold earlier; drift 0.1 below 0.2"
    plain = Story(at_least=1, **limits(0.5, 0.7))
    plain.see(0.6)
    assert plain.reason() == "drift: 1 of 2: drift 0.6 above 0.5"


def test_it_needs_and_wants_what_its_members_do() -> None:
    """Columns and history."""
    strategy = build(StrategySpec("vote", {"at_least": 1, "of": [WEARS, {"burn_rate": {"slo": 0.99}}]}))
    assert strategy.needs == {"value", "errors", "total"}
    assert strategy.history == 64 * HOUR < 3 * DAY


def test_a_new_version_begins_with_what_members_hand_on() -> None:
    """The state of cost_aware is inherited; the line and the votes of the former version are not."""
    counting = {"cost_aware": {"retraining_cost": 100, "window": "1h"}}
    strategy = build(StrategySpec("vote", {"at_least": 2, "within": 3, "of": [WEARS, counting]}))
    state = strategy.new_state(1)
    assert strategy.inherits
    assert state is not None
    columns = {"value": np.array([0.05]), "errors": np.array([50.0]), "total": np.array([1000.0])}
    for hour in range(1, 40):
        slot = 1_700_006_400_000 + hour * HOUR
        batch = EventBatch("failures", EventKind.DRIFT, slot, ModelTable(), np.zeros(1, np.int32), columns)
        strategy.analyse_batch(batch, state)
    handed = strategy.successor(state)
    assert handed["of1"]["lives"][0] == 39 * HOUR
    assert not handed["of0"]["has"].any()
    assert handed["recent"].tolist() == [[0, 0]]
    plain = build(StrategySpec("vote", {"at_least": 1, "of": [WEARS, {"threshold": {"min": 0.9}}]}))
    assert not plain.inherits


def test_a_new_pipeline_begins_with_what_members_learn_from_siblings() -> None:
    """Of `auto` and `ewma`, only `auto` learns from siblings; the votes of siblings are not taken."""
    strategy = build(StrategySpec("vote", {"at_least": 2, "within": 3, "of": [{"auto": {}}, {"ewma": {}}]}))
    member, siblings = build(StrategySpec("auto", {})), strategy.new_state(3)
    assert siblings is not None
    learnt = siblings["of0"]
    learnt["habits"]["seen"], learnt["extremes"]["days"] = ALL_HOURS, 9
    learnt["extremes"]["mean"] = np.arange(3)[:, None, None]
    learnt["habits"]["noise"] = learnt["habits"]["spread"] = 1.0
    siblings["of0"], siblings["recent"] = learnt, 3
    state = strategy.newcomer(siblings)
    assert state["of0"].tobytes() == member.newcomer(learnt).tobytes()
    assert state["of0"]["extremes"]["days"].any()
    assert not state["recent"].any()


@pytest.mark.parametrize(
    "params",
    [
        {"at_least": 3, **limits(0.5, 0.7)},
        {"at_least": 1, **limits(0.5)},
        {"at_least": 1, "of": [{}, {"threshold": {"max": 1}}]},
        {"at_least": 1, "within": 0, **limits(0.5, 0.7)},
    ],
)
def test_votes_that_make_no_sense_are_refused(params: dict[str, Any]) -> None:
    """More votes than members, one member, a member without a name, zero slots."""
    with pytest.raises(ValidationError):
        build(StrategySpec("vote", params))


def test_members_in_rule_files_are_checked_and_in_the_signals_unit() -> None:
    """As a rule's own strategy: by name, key, column, and with durations."""
    signal = SignalQuery("p95", EventKind.LATENCY, {"value": "x"}, unit="seconds", unit_ms=1000.0)

    def read(text: str) -> tuple[StrategySpec | None, list[str]]:
        document = parse(f"strategy:\n  vote:\n    at_least: 2\n    of:\n{text}", Document("a.yml"))
        result = strategy_spec(document.value["strategy"], signal, document, ("strategy",))
        return result, [str(problem) for problem in document.problems]

    result, said = read("    - threshold: {max: 200ms}\n    - decay: {max: 1s, lead_time: 1d}\n")
    assert said == []
    assert result is not None
    assert result.params["of"][0] == {"threshold": {"max": 0.2}}
    assert result.params["of"][1]["decay"]["max"] == 1.0
    assert build(result).name == "vote"
    result, said = read("    - threshold: {maxi: 1, max: 2}\n    - burn_rate: {slo: 0.9}\n    - tresholt: {}\n")
    assert result is None
    assert [line.partition(" ")[2].partition(" (")[0] for line in said] == [
        "strategy.vote.of[0].threshold.maxi: unknown key 'maxi'",
        f"strategy.vote.of[1].burn_rate: {NO_COUNTS}",
        "strategy.vote.of[2].tresholt: unknown strategy 'tresholt'",
    ]
