"""Rules and groups: slots, fingerprints, label mapping and cooldown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.batch import EventKind
from bridge.domain.model import ModelKey
from bridge.domain.rule import Cooldown, Group, LabelRef, ModelLabels, Rule, RuleKind, SignalQuery, StrategySpec
from bridge.domain.times import MINUTE

DRIFT = SignalQuery("drift", EventKind.DRIFT, {"value": "model_drift"})
RULE = Rule("Drifted", "g", "drift", StrategySpec("threshold", {"max": 0.6}))
GROUP = Group("g", MINUTE, {"drift": DRIFT}, (RULE,))


def test_the_phase_depends_on_the_name_alone() -> None:
    """Whole seconds within the interval; groups are spread."""
    phases = [Group(f"g{number}", MINUTE, {}, ()).phase for number in range(50)]
    assert all(phase % 1000 == 0 and 0 <= phase < MINUTE for phase in phases)
    assert len(set(phases)) > 10
    assert Group("g1", MINUTE, {}, ()).phase == phases[1]


def test_a_slot_is_aligned_to_interval_and_phase() -> None:
    """The slot of a slot is itself."""
    slot = GROUP.slot_at(1_700_000_000_000)
    assert (slot - GROUP.phase) % MINUTE == 0
    assert GROUP.slot_at(slot) == slot
    assert GROUP.slot_at(slot + MINUTE - 1) == slot
    assert GROUP.slot_at(slot - 1) == slot - MINUTE


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"for_": MINUTE}, True), ({"annotations": {"a": "b"}}, True), ({"cooldown": Cooldown(1)}, True),
        ({"strategy": StrategySpec("threshold", {"max": 0.7})}, False), ({"kind": RuleKind.ALERT}, False),
        ({"name": "Other"}, False), ({"fdr": 0.05}, False),
    ],
)  # fmt: skip
def test_the_fingerprint_changes_with_the_meaning_only(change: dict[str, object], same: bool) -> None:
    """State survives an edit of texts and durations."""
    edited = replace(RULE, **change)  # type: ignore[arg-type]
    assert (GROUP.fingerprint(edited) == GROUP.fingerprint(RULE)) is same


def test_another_expression_is_another_signal() -> None:
    """Its expected models are separate."""
    other = replace(GROUP, queries={"drift": replace(DRIFT, exprs={"value": "other_drift"})})
    assert other.signal_meaning("drift") != GROUP.signal_meaning("drift")
    assert other.fingerprint(RULE) != GROUP.fingerprint(RULE)


def test_labels_map_a_series_to_a_model() -> None:
    """A missing or empty label is named; a constant replaces a label."""
    mapping = ModelLabels(version=LabelRef("model_version"))
    series = {"project": "shop", "pipeline": "ranking", "model_version": "7"}
    assert mapping.key(series) == ModelKey("shop", "ranking", "7")
    assert mapping.key({**series, "model_version": ""}) == "model_version"
    assert ModelLabels.constant("all").key({}) == ModelKey("all", "all", "all")
    assert mapping.described() == "project: project, pipeline: pipeline, version: model_version"
    assert ModelLabels(project=LabelRef(const="shop")).described() == "pipeline: pipeline, version: version"


def test_a_cooldown_grows_up_to_its_maximum() -> None:
    """Without a maximum it is constant."""
    assert [Cooldown(10, 60).after(unhelpful) for unhelpful in (0, 1, 2, 3, 1000)] == [10, 20, 40, 60, 60]
    assert Cooldown(10).after(5) == 10
