"""Conversion between records and rows: each record comes back equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from bridge.domain.alert import AlertRow, State
from bridge.domain.errors import StoreError
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Episode,
    Feedback,
    HoldReason,
    OperatorAction,
    RecoveryVerdict,
    RequestState,
)
from bridge.domain.shared_cause import SharedCause
from bridge.ports import Pause, Run, RunState, Sighting, StateChunk
from bridge.store import rows
from tests.support.store_records import decision, record_of

MODEL = ModelKey("shöp", 'a"b', "7\n8")
CAUSE = SharedCause("node", "n1", 3, 4, 1, 90, 1000, ("a", "b"))
DELIVERY = {
    "id": 3, "request_id": "id", "destination": "team/webhook/0", "kind": "firing", "state": "queued", "attempts": 0,
    "queued_at": 1, "next_at": 1, "updated_at": 1, "reason": "", "status": 0, "answer": "",
}  # fmt: skip
FULL = record_of(
    MODEL, state=RequestState.FAILED, hold=HoldReason.COOLDOWN, hold_until=1, delivered_at=2, ended_at=3,
    reference="r/1", link="http://x", message="m", new_version="8", verdict=RecoveryVerdict.NOT_RECOVERED, verdict_at=4,
    unhelpful=2, acts=(OperatorAction("release", "ada", 5, "now", "k1"),), shared_cause=CAUSE, feedback=Feedback.LATE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("record", "to_row", "of_row"),
    [
        (AlertRow("R", "f", MODEL, State.FIRING, 1, 2, 3, 0b101), rows.alert_row, rows.alert_of),
        (Episode(MODEL, 1, "R", ("R", "S"), 2, 3, "ended"), rows.episode_row, rows.episode_of),
        (FULL, rows.request_row, rows.request_of),
        (record_of(MODEL), rows.request_row, rows.request_of),
        (Sighting("g", "drift", MODEL, 1, 2), rows.sighting_row, rows.sighting_of),
        (Pause("shop", "", 1, "ada", 2, "note"), rows.pause_row, rows.pause_of),
        (StateChunk("R", "f", 1, (MODEL, ModelKey("a", "b", "c")), b"\x00\xff"), rows.chunk_row, rows.chunk_of),
        (Run("id", "team/run/0", "rb-id", "{}", 1, RunState.LOST, overdue=True), rows.run_row, rows.run_of),
    ],
)
def test_a_record_comes_back_equal(record: Any, to_row: Callable[..., Any], of_row: Callable[..., Any]) -> None:
    assert of_row(to_row(record)) == record


@pytest.mark.parametrize("model", [MODEL, None])
def test_a_decision_comes_back_with_its_number(model: ModelKey | None) -> None:
    """Its number is the database's; a decision on a whole rule has no model."""
    made = decision(10, model, statistic=math.inf)
    assert rows.decision_of({**rows.decision_row(made), "seq": 7}) == structs.replace(made, id=7)


def test_numbers_that_json_does_not_know_survive() -> None:
    """Evidence may hold infinities."""
    (evidence,) = rows.request_of(rows.request_row(record_of())).request.evidence
    assert (evidence.statistic, evidence.threshold) == (math.inf, -math.inf)


@pytest.mark.parametrize(("state", "terminal"), [(RequestState.REQUESTED, 0), (RequestState.FAILED, 1)])
def test_the_row_marks_ended_requests(state: RequestState, terminal: int) -> None:
    """An index reads it."""
    assert rows.request_row(record_of(state=state))["terminal"] == terminal


def test_an_empty_column_is_no_shared_cause() -> None:
    assert rows.shared_cause_of("") is None


def test_a_lone_surrogate_survives() -> None:
    """It is no character, but nothing may be lost by it."""
    record = record_of(MODEL)
    item = structs.replace(record.request.evidence[0], statistic=0.5, threshold=0.6)
    request = structs.replace(record.request, reason="\ud800", evidence=(item,))
    made = structs.replace(record, request=request)
    assert rows.request_of(rows.request_row(made)) == made


@pytest.mark.parametrize(
    ("table", "row", "of_row", "column", "key"),
    [
        ("alerts", rows.alert_row(AlertRow("R", "f", MODEL, State.FIRING, 1, 2, 3, 0)), rows.alert_of, "state",
         f"rule='R', project={MODEL.project!r}"),
        *(("requests", rows.request_row(FULL), rows.request_of, column, f"id='{FULL.id}'")
          for column in ("state", "hold", "verdict", "feedback")),
        ("decisions", {**rows.decision_row(decision(10)), "seq": 7}, rows.decision_of, "outcome", "seq=7"),
        *(("deliveries", DELIVERY, rows.delivery_of, column, "id=3") for column in ("kind", "state")),
        ("runs", rows.run_row(Run("id", "team/run/0", "", "", 1)), rows.run_of, "state",
         "request_id='id', destination='team/run/0'"),
    ],
)  # fmt: skip
def test_a_value_of_a_newer_version_is_named(
    table: str, row: rows.Row, of_row: Callable[..., Any], column: str, key: str
) -> None:
    """With its row and column, and what to do."""
    with pytest.raises(StoreError) as raised:
        of_row({**row, column: "novel"})
    text = str(raised.value)
    assert f"column {column} of table {table} has the value 'novel' in the row with {key}" in text
    assert "run the newer version of retrain-bridge that wrote it" in text
