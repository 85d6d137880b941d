"""Sending times of requests, by which budgets count."""

from __future__ import annotations

from bridge.domain.rule import Budget, Gates
from bridge.domain.times import DAY, HOUR
from bridge.engine.requests.episodes import EpisodeIndex, TickTransaction
from tests.support.world import A, B


def test_sent_requests_are_forgotten_when_no_budget_looks_back_that_far() -> None:
    """The counts stay right, and memory does not grow."""
    book = EpisodeIndex()
    for number in range(100):
        book.sent.add(A.owner, number * HOUR)
    book.sent.add(B.owner, 99 * HOUR)
    book.sent.forget(90 * HOUR)
    assert {key: len(times) for key, times in book.sent.times.items()} == {
        (): 11, ("shop",): 11, ("shop", "ranking"): 10, ("shop", "search"): 1,
    }  # fmt: skip
    assert TickTransaction(book).budget_until(A.owner, Gates(total=Budget(2, DAY))) == 99 * HOUR + DAY
    book.sent.forget(200 * HOUR)
    assert book.sent.times == {}
