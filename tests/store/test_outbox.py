"""Delivery side of the SQL store, on SQLite, beyond the contract of all stores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.errors import UnknownRequestError
from bridge.domain.request import Episode
from bridge.ports import Breaker, Delivery, DeliveryState, Kind, Result, TickChanges
from bridge.store.sql import SqlStore
from tests.support.outbox import settle
from tests.support.store_records import HOOK, LEASE, A, B, queued, record_of


def test_a_release_returns_the_attempt(sqlite: SqlStore) -> None:
    """A delivery that was attempted before waits for its retry again."""
    queued(sqlite, record_of())
    (claim,) = sqlite.claim(HOOK, "w", 150, LEASE)
    sqlite.release([claim])
    (item,) = sqlite.pending_deliveries()
    assert (item.state, item.attempts, item.next_at) == (DeliveryState.QUEUED, 0, 100)
    (claim,) = sqlite.claim(HOOK, "w", 150, LEASE)
    settle(sqlite, claim, Delivery(Result.RETRY, "http_5xx", 503), 160, 200)
    (claim,) = sqlite.claim(HOOK, "w", 250, LEASE)
    sqlite.release([claim])
    (item,) = sqlite.pending_deliveries()
    assert (item.state, item.attempts, item.next_at) == (DeliveryState.RETRY, 1, 200)


def test_a_release_by_a_former_holder_changes_nothing(sqlite: SqlStore) -> None:
    queued(sqlite, record_of())
    (claim,) = sqlite.claim(HOOK, "w", 100, LEASE)
    sqlite.release([replace(claim, worker="other"), replace(claim, attempt=9)])
    (item,) = sqlite.pending_deliveries()
    assert (item.state, item.attempts) == (DeliveryState.LEASED, 1)


def test_a_resolved_delivery_has_the_end_of_the_episode(sqlite: SqlStore) -> None:
    """The firing one has none, although the episode ended meanwhile."""
    made = record_of(A, start=100)
    queued(sqlite, made, kinds=(Kind.FIRING, Kind.RESOLVED))
    sqlite.commit(TickChanges("g", 200, episodes=[Episode(A, 100, "R", ("R",), 1, 180)], at=200))
    (firing,) = sqlite.claim(HOOK, "w", 200, LEASE, limit=9)
    assert (firing.notification.kind, firing.notification.ends_at) == (Kind.FIRING, 0)
    settle(sqlite, firing, Delivery(Result.DELIVERED), 210, 210)
    (resolved,) = sqlite.claim(HOOK, "w", 220, LEASE, limit=9)
    assert (resolved.notification.kind, resolved.notification.ends_at) == (Kind.RESOLVED, 180)


def test_nothing_due_needs_no_write(sqlite: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most calls find nothing; a write lock would delay the engine."""
    queued(sqlite, record_of(), at=100)
    monkeypatch.setattr(sqlite, "_write", lambda: pytest.fail("a write transaction"))
    assert sqlite.claim(HOOK, "w", 99, LEASE) == []
    assert sqlite.claim("other/webhook/0", "w", 500, LEASE) == []


def test_a_breaker_is_read_once(sqlite: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt needs it; what was saved is known without reading."""
    sqlite.save_breaker(Breaker(HOOK, 2, 500, 0))
    assert sqlite.breaker("other/webhook/0") == Breaker("other/webhook/0")
    monkeypatch.setattr(sqlite, "_read", lambda: pytest.fail("a query"))
    assert sqlite.breaker(HOOK) == Breaker(HOOK, 2, 500, 0)
    assert sqlite.breaker("other/webhook/0").failures == 0


def test_depths_name_destinations_with_dead_deliveries_only(sqlite: SqlStore) -> None:
    queued(sqlite, record_of(A), record_of(B))
    for claim in sqlite.claim(HOOK, "w", 100, LEASE, limit=2):
        settle(sqlite, claim, Delivery(Result.DEAD, "http_4xx", 400), 110, 110)
    (depth,) = sqlite.depths().values()
    assert (depth.pending, depth.dead) == (0, 2)


def test_an_unknown_request_is_an_error(sqlite: SqlStore) -> None:
    with pytest.raises(UnknownRequestError, match="'nope'"):
        sqlite.retry("nope", [], 1)
    with pytest.raises(UnknownRequestError, match="'nope'"):
        sqlite.redrive("nope", None, 1)
