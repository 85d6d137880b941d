"""Retraining activity of a pipeline in the episode index."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridge.domain.model import ModelKey
from bridge.domain.request import Episode, RecoveryVerdict, RequestRecord, RequestState, RetrainRequest
from bridge.domain.times import MINUTE
from bridge.engine.requests.episodes import EpisodeIndex, TickTransaction, unhelpful_after
from tests.support.world import A


def record(
    attempt: int = 1, state: RequestState = RequestState.REQUESTED, model: ModelKey = A, **more: Any
) -> RequestRecord:
    request = RetrainRequest(model, "why", 100 * attempt, f"{model}-{attempt}", "R", 100, attempt)
    return RequestRecord(request, state, 100 * attempt, **{"sent_at": 100 * attempt, **more})


def test_what_follows_a_retraining_that_helped_starts_over() -> None:
    """Failed, lost and not recovered count; recovered and closed reset; without a verdict nothing changes."""
    state = RequestState
    cases = {
        (state.FAILED, None): 4, (state.LOST, None): 4, (state.SUCCEEDED, RecoveryVerdict.NOT_RECOVERED): 4,
        (state.SUCCEEDED, RecoveryVerdict.RECOVERED): 0, (state.CLOSED, None): 0,
        (state.SUCCEEDED, RecoveryVerdict.INCONCLUSIVE): 3, (state.CANCELLED, None): 3, (state.SUCCEEDED, None): 3,
    }  # fmt: skip
    assert {key: unhelpful_after(record(1, key[0], verdict=key[1], unhelpful=3)) for key in cases} == cases
    assert unhelpful_after(None) == 0


def test_news_of_an_earlier_attempt_do_not_make_it_the_present_one() -> None:
    """Attempt 1 gets its verdict or delivery after attempt 2 was made."""
    book = EpisodeIndex()
    book.put_episode(Episode(A, 100, "R", ("R",), 2))
    first, second = record(1, RequestState.FAILED), record(2)
    for item in (first, second, structs.replace(first, delivered_at=500)):
        book.put_request(item)
    draft = TickTransaction(book)
    assert draft.request(A) == second
    draft.put_request(structs.replace(first, delivered_at=600))
    assert draft.request(A) == second


def test_requests_that_nothing_needs_are_forgotten_within_a_minute() -> None:
    """Frequent requests would take much memory; the latest one of the pipeline stays."""
    book = EpisodeIndex()
    for attempt in range(1, 51):
        book.put_request(record(attempt, RequestState.CLOSED, ended_at=100 * attempt))
    book.forget(MINUTE)
    assert list(book.requests) == [f"{A}-50"]
    book.put_request(record(51, RequestState.CLOSED, ended_at=MINUTE + 1))
    book.forget(MINUTE + 2)
    assert len(book.requests) == 2, "they are looked through once a minute"
    book.forget(2 * MINUTE)
    assert list(book.requests) == [f"{A}-51"]


def test_a_pipeline_without_a_request_in_flight_or_retraining_takes_no_memory() -> None:
    """Neither does the index keep a container of its own for the one request in flight of each of 100,000 pipelines."""
    book = EpisodeIndex()
    book.put_request(record(1))
    book.put_request(record(2))
    book.put_request(record(2))
    assert book.in_flight == {A.owner: (f"{A}-1", f"{A}-2")}
    assert book.last_end == {}
    book.put_request(record(1, RequestState.SUCCEEDED, ended_at=500))
    assert (book.in_flight, book.last_end) == ({A.owner: (f"{A}-2",)}, {A.owner: 500})
    book.put_request(record(2, RequestState.CANCELLED, ended_at=400))
    assert (book.in_flight, book.last_end) == ({}, {A.owner: 500})
