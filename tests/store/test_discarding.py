"""Discarding in the SQL store, on SQLite, beyond the contract of all stores."""

from __future__ import annotations

from bridge.ports import Discard, TickChanges
from bridge.store.discarding import discardable
from bridge.store.sql import SqlStore
from tests.support.store_records import HOOK, A, queued, record_of


def test_the_query_has_a_limit_and_its_destinations(sqlite: SqlStore) -> None:
    """It is made for one page of a long queue."""
    text = str(discardable([HOOK], 100, 7))
    assert "LIMIT" in text
    assert "deliveries.destination IN" in text


def test_nothing_to_discard_is_no_statement(sqlite: SqlStore) -> None:
    """A commit without one, and one of an unknown request, change no delivery."""
    made = record_of(A)
    queued(sqlite, made)
    sqlite.commit(TickChanges("", 0, requests=[made], at=200))
    sqlite.commit(TickChanges("", 0, discards=[Discard("0" * 32, HOOK)], at=200))
    assert [item.state.value for item in sqlite.deliveries(made.id)] == ["queued"]
