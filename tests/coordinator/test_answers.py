"""Response bodies of the coordinator."""

from __future__ import annotations

from dataclasses import replace

from bridge.coordinator import answers
from bridge.coordinator.records import Origin, Record
from bridge.domain.request import RequestState
from tests.support.coordinator import ID, NOON

RECORD = Record(
    17, ID, "shop", "churn", "3", "drift", "{}", Origin.ALERTMANAGER, RequestState.RUNNING, "training", "", NOON,
    NOON + 1000, 0, NOON + 2000, 2, 3, 0, 0,
)  # fmt: skip


def test_an_instant_that_has_not_happened_is_null() -> None:
    found = answers.of(RECORD)
    assert (found.received_at, found.started_at) == ("2026-03-01T12:00:00.000Z", "2026-03-01T12:00:01.000Z")
    assert found.ended_at is None
    assert answers.of(replace(RECORD, ended_at=NOON)).ended_at == "2026-03-01T12:00:00.000Z"


def test_words_are_those_of_the_api() -> None:
    found = answers.of(RECORD)
    assert (found.state, found.origin, found.reference, found.repeats) == ("running", "alertmanager", "run-17", 2)
