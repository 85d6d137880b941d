"""Records of the store: scope of a pause, and filters of decisions."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from bridge.domain.model import PipelineKey
from bridge.domain.request import Outcome
from bridge.ports import DecisionFilter, Pause
from tests.support.store_records import A, B, decision

RANKING = PipelineKey("shop", "ranking")
DECISION = structs.replace(decision(100), id=7)


@pytest.mark.parametrize(
    ("project", "pipeline", "covers"),
    [("", "", True), ("shop", "", True), ("shop", "ranking", True), ("shop", "search", False), ("other", "", False)],
)
def test_a_pause_covers_its_scope(project: str, pipeline: str, covers: bool) -> None:
    """Until its end, which it does not include."""
    pause = Pause(project, pipeline, 500, "ada", 0)
    assert pause.covers(RANKING, 499) is covers
    assert not pause.covers(RANKING, 500)


@pytest.mark.parametrize(
    ("which", "fits"),
    [
        ({}, True), ({"model": A}, True), ({"model": B}, False), ({"rule": "R"}, True), ({"rule": "S"}, False),
        ({"since": 100, "until": 100}, True), ({"since": 101}, False), ({"until": 99}, False),
        ({"outcomes": (Outcome.HELD,)}, True), ({"outcomes": (Outcome.REQUESTED,)}, False),
        ({"before": 8}, True), ({"before": 7}, False),
        ({"project": A.project}, True), ({"project": "other"}, False),
        ({"project": A.project, "pipeline": A.pipeline}, True), ({"pipeline": "other"}, False),
        ({"version": A.version}, True), ({"version": "other"}, False),
    ],
)  # fmt: skip
def test_a_filter_of_decisions(which: dict[str, Any], fits: bool) -> None:
    """Both ends of a time are included, and the decision `before` is not."""
    assert DecisionFilter(**which).fits(DECISION) is fits


def test_a_decision_on_a_whole_rule_is_about_no_model() -> None:
    whole = structs.replace(DECISION, model=None)
    assert DecisionFilter().fits(whole)
    assert not DecisionFilter(model=A).fits(whole)
    assert not DecisionFilter(project=A.project).fits(whole)
