"""Conversion between records and rows: each record comes back equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import Table

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
from bridge.ports import DeliveryRecord, DeliveryState, Kind, NewDelivery, Pause, Run, RunState, Sighting, StateChunk
from bridge.store import rows, tables
from bridge.store.base import columns
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


RUN = Run(
    "id", "team/run/0", "rb-id", "{}", 1, RunState.LOST, 2, "r", "l", "m", "v", 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    overdue=True,
)  # fmt: skip


def fetched(table: Table, row: rows.Row) -> dict[str, Any]:
    """Return a row as a query returns it, without its serial number."""
    return dict(zip(columns(table), row, strict=True))


@pytest.mark.parametrize(
    ("table", "record", "to_row", "of_row"),
    [
        (tables.alerts, AlertRow("R", "f", MODEL, State.FIRING, 1, 2, 3, 0b101), rows.alert_row, rows.alert_of),
        (tables.episodes, Episode(MODEL, 1, "R", ("R", "S"), 2, 3, "ended"), rows.episode_row, rows.episode_of),
        (tables.requests, FULL, rows.request_row, rows.request_of),
        (tables.requests, record_of(MODEL), rows.request_row, rows.request_of),
        (tables.sightings, Sighting("g", "drift", MODEL, 1, 2), rows.sighting_row, rows.sighting_of),
        (tables.pauses, Pause("shop", "", 1, "ada", 2, "note"), rows.pause_row, rows.pause_of),
        (tables.strategy_state, StateChunk("R", "f", 1, (MODEL, ModelKey("a", "b", "c")), b"\x00\xff"),
         rows.chunk_row, rows.chunk_of),
        (tables.runs, RUN, rows.run_row, rows.run_of),
    ],
)  # fmt: skip
def test_a_record_comes_back_equal(
    table: Table, record: Any, to_row: Callable[..., Any], of_row: Callable[..., Any]
) -> None:
    assert of_row(fetched(table, to_row(record))) == record


def test_a_new_delivery_is_queued_until_its_group_is_sent() -> None:
    """Once its window is over, it is sent separately."""
    new = NewDelivery("id", "team/webhook/0", Kind.FIRING, "group", 20)
    waiting, late = (fetched(tables.deliveries, rows.new_delivery_row(new, at)) for at in (10, 30))
    assert (waiting["bundle"], waiting["queued_at"], waiting["next_at"]) == ("group", 10, 20)
    assert (late["bundle"], late["queued_at"], late["next_at"]) == ("", 30, 30)
    assert rows.delivery_of({**waiting, "id": 1}) == DeliveryRecord(
        1, "id", "team/webhook/0", Kind.FIRING, DeliveryState.QUEUED, 0, 10, 20, 10, "", 0, ""
    )


@pytest.mark.parametrize("model", [MODEL, None])
def test_a_decision_comes_back_with_its_number(model: ModelKey | None) -> None:
    """Its number is the database's; a decision on a whole rule has no model."""
    made = decision(10, model, statistic=math.inf)
    assert rows.decision_of({**fetched(tables.decisions, rows.decision_row(made)), "seq": 7}) == structs.replace(
        made, id=7
    )


def test_numbers_that_json_does_not_know_survive() -> None:
    """Evidence may hold infinities."""
    (evidence,) = rows.request_of(fetched(tables.requests, rows.request_row(record_of()))).request.evidence
    assert (evidence.statistic, evidence.threshold) == (math.inf, -math.inf)


@pytest.mark.parametrize(("state", "terminal"), [(RequestState.REQUESTED, 0), (RequestState.FAILED, 1)])
def test_the_row_marks_ended_requests(state: RequestState, terminal: int) -> None:
    """An index reads it."""
    assert fetched(tables.requests, rows.request_row(record_of(state=state)))["terminal"] == terminal


def test_an_empty_column_is_no_shared_cause() -> None:
    assert rows.shared_cause_of("") is None


def test_a_lone_surrogate_survives() -> None:
    """It is no character, but nothing may be lost by it."""
    record = record_of(MODEL)
    item = structs.replace(record.request.evidence[0], statistic=0.5, threshold=0.6)
    request = structs.replace(record.request, reason="\ud800", evidence=(item,))
    made = structs.replace(record, request=request)
    assert rows.request_of(fetched(tables.requests, rows.request_row(made))) == made


@pytest.mark.parametrize("statistic", [0.5, math.nan])
def test_a_request_may_hold_mappings_that_cannot_change(statistic: float) -> None:
    """Those of its record's defaults are such; they are stored as objects."""
    record = record_of(MODEL)
    item = structs.replace(record.request.evidence[0], statistic=statistic, series=MappingProxyType({"a": "b"}))
    request = structs.replace(record.request, labels=MappingProxyType({"c": "d"}), evidence=(item,))
    row = rows.request_row(structs.replace(record, request=request))
    found = rows.request_of(fetched(tables.requests, row)).request
    assert (found.labels, found.evidence[0].series) == ({"c": "d"}, {"a": "b"})


@pytest.mark.parametrize(
    ("table", "row", "of_row", "column", "key"),
    [
        ("alerts", fetched(tables.alerts, rows.alert_row(AlertRow("R", "f", MODEL, State.FIRING, 1, 2, 3, 0))),
         rows.alert_of, "state",
         f"rule='R', project={MODEL.project!r}"),
        *(("requests", fetched(tables.requests, rows.request_row(FULL)), rows.request_of, column, f"id='{FULL.id}'")
          for column in ("state", "hold", "verdict", "feedback")),
        ("decisions", {**fetched(tables.decisions, rows.decision_row(decision(10))), "seq": 7},
         rows.decision_of, "outcome", "seq=7"),
        *(("deliveries", DELIVERY, rows.delivery_of, column, "id=3") for column in ("kind", "state")),
        ("runs", fetched(tables.runs, rows.run_row(RUN)), rows.run_of, "state",
         "request_id='id', destination='team/run/0'"),
    ],
)  # fmt: skip
def test_a_value_of_a_newer_version_is_named(
    table: str, row: dict[str, Any], of_row: Callable[..., Any], column: str, key: str
) -> None:
    """With its row and column, and what to do."""
    with pytest.raises(StoreError) as raised:
        of_row({**row, column: "novel"})
    text = str(raised.value)
    assert f"column {column} of table {table} has the value 'novel' in the row with {key}" in text
    assert "run the newer version of retrain-bridge that wrote it" in text
