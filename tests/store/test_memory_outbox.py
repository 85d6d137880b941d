"""Outbox of the in-memory store, beyond the contract of all stores: leases that ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import UnknownRequestError
from bridge.ports import Breaker, Delivery, DeliveryState, Result
from bridge.store.memory import MemoryStore
from bridge.store.memory_outbox import ANSWER_KEPT
from tests.support.outbox import settle
from tests.support.store_records import HOOK, LEASE, A, B, queued, record_of


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    queued(made, record_of(A))
    return made


def test_a_release_returns_the_attempt(store: MemoryStore) -> None:
    """The delivery is due as before, and was not attempted."""
    (claim,) = store.claim(HOOK, "w", 150, LEASE)
    store.release([claim])
    (item,) = store.pending_deliveries()
    assert (item.state, item.attempts, item.next_at) == (DeliveryState.QUEUED, 0, 100)


def test_a_release_by_a_former_holder_changes_nothing(store: MemoryStore) -> None:
    """Neither by another worker nor with an older attempt."""
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    store.release([replace(claim, worker="other"), replace(claim, attempt=9), replace(claim, id=99)])
    (item,) = store.pending_deliveries()
    assert (item.state, item.attempts) == (DeliveryState.LEASED, 1)


def test_a_long_answer_is_cut(store: MemoryStore) -> None:
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    assert settle(store, claim, Delivery(Result.RETRY, "http_5xx", 503, "x" * 9000), 110, 120)
    (item,) = store.pending_deliveries()
    assert (len(item.answer), item.state) == (ANSWER_KEPT, DeliveryState.RETRY)


def test_a_limit_bounds_the_claims(store: MemoryStore) -> None:
    queued(store, record_of(B))
    assert len(store.claim(HOOK, "w", 100, LEASE, limit=1)) == 1
    assert len(store.claim(HOOK, "w", 100, LEASE, limit=5)) == 1
    assert store.claim("other/webhook/0", "w", 100, LEASE) == []


def test_an_unknown_request_is_an_error(store: MemoryStore) -> None:
    with pytest.raises(UnknownRequestError, match="'nope'"):
        store.retry("nope", [], 1)
    with pytest.raises(UnknownRequestError, match="'nope'"):
        store.redrive("nope", None, 1)


def test_a_breaker_is_closed_until_it_is_saved(store: MemoryStore) -> None:
    assert store.breaker(HOOK) == Breaker(HOOK)
    store.save_breaker(Breaker(HOOK, 3, 500, 0))
    assert store.breaker(HOOK).failures == 3
