"""Ids, states and the JSON form of requests."""

from __future__ import annotations

import json
import math

import pytest
from msgspec import structs

from bridge.domain.model import ModelKey
from bridge.domain.request import Evidence, RequestState, RetrainRequest, request_id
from tests.support.store_records import decision

MODEL = ModelKey("shop", "ranking", "7")


def test_an_id_is_the_same_on_every_machine_and_in_every_release() -> None:
    """A receiver must recognise a repeated request: the literal must never change."""
    assert request_id(MODEL, "Drift", 1_700_000_000_000, 1) == "ca89dedfb2e65b5454c3a4a7e1d301aa"


def test_parts_cannot_run_into_each_other() -> None:
    """Moving a character from one part to the next is another request."""
    assert request_id(ModelKey("ab", "c", "1"), "R", 5, 1) != request_id(ModelKey("a", "bc", "1"), "R", 5, 1)


@pytest.mark.parametrize(
    ("was", "new", "may"),
    [
        ("requested", "accepted", True), ("accepted", "running", True), ("running", "succeeded", True),
        ("requested", "failed", True), ("accepted", "lost", True), ("running", "accepted", False),
        ("accepted", "accepted", False), ("succeeded", "failed", False), ("lost", "succeeded", False),
        ("held", "running", False), ("running", "held", False), ("requested", "withdrawn", False),
    ],
)  # fmt: skip
def test_a_coordinator_moves_a_request_forward_only(was: str, new: str, may: bool) -> None:
    """Terminal states are final, no state goes back, and only a coordinator's states are accepted."""
    assert RequestState(was).may_become(RequestState(new)) is may


def test_numbers_that_json_cannot_carry_travel_as_prometheus_writes_them() -> None:
    """NaN and infinities must not make the body unreadable for the receiver."""
    seen = Evidence("R", "s", "custom", "up", math.inf, math.nan, -math.inf)
    request = RetrainRequest(MODEL, "why", 0, "0" * 32, "R", 0, evidence=(seen,))
    evidence = json.loads(json.dumps(request.to_json(), allow_nan=False))["evidence"][0]
    assert (evidence["value"], evidence["statistic"], evidence["threshold"]) == ("+Inf", "NaN", "-Inf")


def test_decisions_are_equal_whatever_number_the_store_gave_them() -> None:
    """And unequal when anything else differs."""
    made = decision(100)
    stored = structs.replace(made, id=7)
    assert (stored == made, hash(stored) == hash(made)) == (True, True)
    assert structs.replace(stored, reason="other") != made
    assert made != "decision"
