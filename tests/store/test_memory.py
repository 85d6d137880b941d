"""In-memory store: what it keeps when an older reading is saved. tests/contracts has the contract of all stores."""

from __future__ import annotations

import pytest

from bridge.domain.request import RequestState
from bridge.ports import RequestFilter, TickChanges
from bridge.store.memory import MemoryStore, merged
from tests.support.store_records import A, C, record_of

REQUESTED, UNDELIVERED = RequestState.REQUESTED, RequestState.UNDELIVERED
ACCEPTED, FAILED = RequestState.ACCEPTED, RequestState.FAILED


@pytest.mark.parametrize(
    ("known", "new", "merged_state"),
    [
        (ACCEPTED, REQUESTED, ACCEPTED),  # a delivery was faster
        (ACCEPTED, FAILED, FAILED),
        (REQUESTED, FAILED, FAILED),
        (UNDELIVERED, REQUESTED, UNDELIVERED),
        (FAILED, REQUESTED, REQUESTED),
    ],
)
def test_an_older_reading_does_not_undo_a_delivery(
    known: RequestState, new: RequestState, merged_state: RequestState
) -> None:
    assert merged(record_of(state=known), record_of(state=new)).state is merged_state


def test_the_first_delivery_and_the_receivers_reference_are_kept() -> None:
    known = record_of(delivered_at=5, reference="r", link="http://x")
    found = merged(known, record_of(delivered_at=9, message="new"))
    assert (found.delivered_at, found.reference, found.link, found.message) == (5, "r", "http://x", "new")
    assert merged(record_of(), record_of(delivered_at=9, reference="s")).delivered_at == 9


def test_a_page_after_an_unknown_request_is_empty() -> None:
    store = MemoryStore()
    store.commit(TickChanges("g", 1, requests=[record_of(A), record_of(C)], at=1))
    assert store.requests(RequestFilter(after="unknown")) == []
    assert len(store.requests(RequestFilter(limit=1))) == 1


def test_no_commit_is_ever_uncertain() -> None:
    store = MemoryStore()
    store.check()
    store.close()
    assert store.doubts == 0
