"""Settlement of attempts in the SQL store, on SQLite: fences, and the effect on the request."""

from __future__ import annotations

from dataclasses import replace

from bridge.domain.request import RequestState
from bridge.ports import Delivery, DeliveryState, Kind, NewDelivery, Result, Settlement, TickChanges
from bridge.store.settling import ANSWER_KEPT
from bridge.store.sql import SqlStore
from tests.support.outbox import settle
from tests.support.store_records import HOOK, LEASE, A, B, queued, record_of


def test_settlements_of_one_call_are_recorded_apart(sqlite: SqlStore) -> None:
    """One whose lease ended does not hinder the other, and no claim is settled twice."""
    queued(sqlite, record_of(A), record_of(B))
    first, second = sqlite.claim(HOOK, "w", 100, LEASE, limit=2)
    done = Delivery(Result.DELIVERED)
    stale = Settlement([replace(first, attempt=0)], done, 110, 110)
    good = Settlement([second], done, 110, 110)
    assert sqlite.settle([stale, good, Settlement([second], done, 120, 120)]) == [False, True, False]
    (left,) = sqlite.pending_deliveries()
    assert left.id == first.id


def test_a_reference_means_that_a_coordinator_accepted(sqlite: SqlStore) -> None:
    """A delivery without one leaves the request requested; the first delivery and reference are kept."""
    made = record_of()
    new = [NewDelivery(made.id, f"team/webhook/{index}", Kind.FIRING) for index in range(3)]
    sqlite.commit(TickChanges("g", 100, requests=[made], deliveries=new, at=100))
    for index, (reference, state) in enumerate(
        [("", RequestState.REQUESTED), ("r1", RequestState.ACCEPTED), ("r2", RequestState.ACCEPTED)]
    ):
        (claim,) = sqlite.claim(f"team/webhook/{index}", "w", 100, LEASE)
        assert settle(sqlite, claim, Delivery(Result.DELIVERED, reference=reference), 110 + index, 0)
        found = sqlite.request(made.id)
        assert found is not None
        assert (found.state, found.delivered_at) == (state, 110)
    last = sqlite.request(made.id)
    assert last is not None
    assert last.reference == "r1"


def test_a_dead_firing_delivery_ends_its_resolved_one(sqlite: SqlStore) -> None:
    """Only at this destination."""
    made = record_of()
    both = [NewDelivery(made.id, name, kind) for name in (HOOK, "b/webhook/0") for kind in (Kind.FIRING, Kind.RESOLVED)]
    sqlite.commit(TickChanges("g", 100, requests=[made], deliveries=both, at=100))
    (claim,) = sqlite.claim(HOOK, "w", 100, LEASE)
    settle(sqlite, claim, Delivery(Result.DEAD, "http_4xx", 400), 110, 110)
    states = {(item.destination, item.kind): (item.state, item.reason) for item in sqlite.deliveries(made.id)}
    assert states[HOOK, Kind.RESOLVED] == (DeliveryState.DEAD, "firing_dead")
    assert states["b/webhook/0", Kind.RESOLVED] == (DeliveryState.QUEUED, "")
    found = sqlite.request(made.id)
    assert found is not None
    assert found.state is RequestState.REQUESTED


def test_a_long_answer_is_cut(sqlite: SqlStore) -> None:
    queued(sqlite, record_of())
    (claim,) = sqlite.claim(HOOK, "w", 100, LEASE)
    settle(sqlite, claim, Delivery(Result.RETRY, "http_5xx", 503, "x" * 9000), 110, 120)
    (item,) = sqlite.pending_deliveries()
    assert (len(item.answer), item.next_at, item.status) == (ANSWER_KEPT, 120, 503)
