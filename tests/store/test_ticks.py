"""Engine side of the SQL store, on SQLite, beyond the contract of all stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import event

from bridge.domain.alert import AlertRow, State
from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.ports import DecisionFilter, Kind, NewDelivery, Pause, RequestFilter, Sighting, StateChunk, TickChanges
from bridge.store import base
from bridge.store.sql import SqlStore
from tests.support.store_records import HOOK, A, B, C, decision, record_of

FIRING = AlertRow("R", "f", A, State.FIRING, 1, 2, 0)
BLANK = AlertRow("R", "f", A, State.INACTIVE, 0, 0, 0)


def test_the_last_change_of_an_alert_in_a_tick_wins(sqlite: SqlStore) -> None:
    """A stale row may be removed and created again."""
    assert BLANK.blank
    sqlite.commit(TickChanges("g", 1, [FIRING, BLANK, structs.replace(FIRING, fired_at=9)], at=1))
    assert [row.fired_at for row in sqlite.load(0).alerts] == [9]
    sqlite.commit(TickChanges("g", 2, [FIRING, BLANK], at=2))
    assert sqlite.load(0).alerts == []


def test_an_empty_chunk_removes_the_strategy_state(sqlite: SqlStore) -> None:
    chunk = StateChunk("R", "f", 1, (A,), b"x")
    sqlite.commit(TickChanges("g", 1, state=[chunk, replace(chunk, fingerprint="h")], at=1))
    sqlite.commit(TickChanges("g", 2, state=[replace(chunk, models=(), data=b"")], at=2))
    assert [item.fingerprint for item in sqlite.load(0).state] == ["h"]


def test_a_sighting_without_an_instant_is_removed(sqlite: SqlStore) -> None:
    seen = Sighting("g", "drift", A, 5, 0)
    sqlite.commit(TickChanges("g", 1, sightings=[seen, structs.replace(seen, model=B)], at=1))
    sqlite.commit(TickChanges("g", 2, sightings=[structs.replace(seen, first_seen=0)], at=2))
    assert [item.model for item in sqlite.load(0).sightings] == [B]


def test_a_pause_ends_early_or_by_itself(sqlite: SqlStore) -> None:
    """Each pause that is saved also removes those that ended."""
    sqlite.save_pause(Pause("shop", "", 500, "ada", 100))
    sqlite.save_pause(Pause("shop", "ranking", 900, "ada", 100))
    sqlite.save_pause(Pause("shop", "ranking", 200, "ada", 200))
    assert [(item.project, item.pipeline) for item in sqlite.load(0).pauses] == [("shop", "")]
    sqlite.save_pause(Pause("other", "", 900, "ada", 501))
    assert [item.project for item in sqlite.load(0).pauses] == ["other"]


def test_very_many_changes_are_written_in_portions(sqlite: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one transaction, but no statement has more rows than a portion, whatever a tick changes."""
    monkeypatch.setattr(base, "PORTION", 4)
    models = [ModelKey("shop", f"pipeline-{number}", "1") for number in range(11)]
    records = [record_of(model) for model in models]
    begun, sizes = list[object](), list[int]()
    event.listen(sqlite._engine, "begin", begun.append)

    def executed(
        connection: object, cursor: object, statement: str, rows: list[object], context: object, many: bool
    ) -> None:
        sizes.append(len(rows) if many else 1)

    event.listen(sqlite._engine, "before_cursor_execute", executed)
    changes = TickChanges(
        "g",
        1,
        alerts=[structs.replace(FIRING, model=model) for model in models],
        requests=records,
        deliveries=[NewDelivery(record.id, HOOK, Kind.FIRING) for record in records],
        decisions=[decision(1, model) for model in models],
        sightings=[Sighting("g", "drift", model, 5, 0) for model in models],
        at=1,
    )
    sqlite.commit(changes)
    assert len(begun) == 1
    assert max(sizes) == 4
    sqlite.commit(replace(changes, slot=2, alerts=[structs.replace(BLANK, model=model) for model in models]))
    assert max(sizes) == 4
    assert len(sqlite.requests(RequestFilter())) == len(sqlite.load(0).sightings) == sqlite.depths()[HOOK].pending == 11
    assert len(sqlite.decisions(DecisionFilter())) == 22
    assert sqlite.load(0).alerts == []


def test_a_failed_commit_writes_nothing(sqlite: SqlStore) -> None:
    """Neither the slot nor the alerts before the wrong row."""
    wrong = StateChunk("R", "f", 1, (A,), object())  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)type|support"):
        sqlite.commit(TickChanges("g", 7, [FIRING], state=[wrong], at=7))
    loaded = sqlite.load(0)
    assert (dict(loaded.slots), loaded.alerts) == ({}, [])


def test_sent_requests_are_listed_from_an_instant(sqlite: SqlStore) -> None:
    """By when they were sent, not by when they were triggered; a held one is not among them."""
    done: dict[str, Any] = {"state": RequestState.SUCCEEDED, "ended_at": 90}
    records = [record_of(A, start=50, sent_at=80, **done), record_of(C, start=60, sent_at=70, **done)]
    held = record_of(B, start=61, state=RequestState.HELD, sent_at=0)
    sqlite.commit(TickChanges("g", 1, requests=[*records, held], at=1))
    assert [at for _, at in sqlite.load(0, 0).sent] == [70, 80]
    assert [at for _, at in sqlite.load(0, 71).sent] == [80]
