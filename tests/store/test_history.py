"""Read side of the SQL store, on SQLite, beyond the contract of all stores."""

from __future__ import annotations

from typing import Any

from bridge.domain.request import Feedback, Outcome, RecoveryVerdict, RequestState
from bridge.ports import DecisionFilter, RequestFilter, TickChanges
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore
from tests.support.store_records import A, B, C, decision, record_of


def test_several_states_are_one_list(sqlite: SqlStore) -> None:
    """Newest first over all of them, up to the limit; what was triggered at once is in the order of insertion."""
    states = (RequestState.HELD, RequestState.FAILED, RequestState.HELD, RequestState.REQUESTED)
    records = [record_of(A, start=start, state=state) for start, state in zip((10, 20, 30, 40), states, strict=True)]
    same = record_of(B, start=30, state=RequestState.FAILED)
    sqlite.commit(TickChanges("g", 1, requests=[*records, same], at=1))
    which = RequestFilter(states=(RequestState.HELD, RequestState.FAILED))
    assert [item.id for item in sqlite.requests(which)] == [item.id for item in (same, *records[2::-1])]
    limited = RequestFilter(states=(RequestState.HELD, RequestState.FAILED), limit=2)
    assert [item.id for item in sqlite.requests(limited)] == [same.id, records[2].id]
    after = RequestFilter(states=(RequestState.HELD, RequestState.FAILED), after=records[2].id)
    assert [item.id for item in sqlite.requests(after)] == [item.id for item in records[1::-1]]


def test_several_outcomes_are_one_list(sqlite: SqlStore) -> None:
    outcomes = (Outcome.HELD, Outcome.REQUESTED, Outcome.ESCALATED, Outcome.HELD)
    decisions = [decision(slot, outcome=outcome) for slot, outcome in enumerate(outcomes, 1)]
    sqlite.commit(TickChanges("g", 1, decisions=decisions, at=1))
    which = DecisionFilter(outcomes=(Outcome.HELD, Outcome.ESCALATED), limit=2)
    assert [item.slot for item in sqlite.decisions(which)] == [4, 3]
    span = DecisionFilter(since=2, until=3)
    assert [item.slot for item in sqlite.decisions(span)] == [3, 2]


def test_verdicts_and_feedback_are_counted_by_rule(sqlite: SqlStore) -> None:
    """Requests without one are not counted."""
    done: dict[str, Any] = {"state": RequestState.SUCCEEDED, "verdict": RecoveryVerdict.RECOVERED}
    records = [record_of(A, **done, feedback=Feedback.LATE), record_of(B, **done), record_of(C)]
    sqlite.commit(TickChanges("g", 1, requests=records, at=1))
    assert sqlite.verdicts() == {"R": {RecoveryVerdict.RECOVERED: 2}}
    assert sqlite.feedback() == {"R": {Feedback.LATE: 1}}


def test_sent_requests_are_counted_by_rule(sqlite: SqlStore) -> None:
    """Those that are held, or older, are not counted; the store in memory counts the same."""
    records = [record_of(A, sent_at=20), record_of(B, sent_at=20), record_of(C, sent_at=0)]
    since = records[0].request.triggered_at
    memory = MemoryStore()
    stores: tuple[SqlStore | MemoryStore, ...] = (sqlite, memory)
    for store in stores:
        store.commit(TickChanges("g", 1, requests=records, at=1))
        assert store.sent(since) == {"R": 2}
        assert store.sent(since + 1) == {}


def test_unknown_ids_are_left_out(sqlite: SqlStore) -> None:
    made = record_of()
    sqlite.save_request(made)
    assert sqlite.requests_by_id([made.id, "nope"]) == [made]
    assert (sqlite.requests_by_id([]), sqlite.request("nope"), sqlite.deliveries("nope")) == ([], None, [])
