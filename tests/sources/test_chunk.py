"""Chunks of history: slot by slot or all at once, prefetched, and queried once for several limits."""

from __future__ import annotations

import random
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import responses

from bridge.domain.batch import EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.domain.times import MINUTE
from bridge.ports.history import HistoryChunk
from bridge.sources.chunk import prefetch
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from tests.support.batches import plain
from tests.support.fake_prometheus import FakePrometheus, Labels, model

AT = 1_794_182_400_000
SLOTS = range(AT, AT + 100 * MINUTE, MINUTE)


def expr(name: str, text: str, **more: object) -> SignalQuery:
    return replace(SignalQuery(name, EventKind.CUSTOM, {"value": text}), **more)  # type: ignore[arg-type]


def limited(text: str, at: int) -> list[tuple[Labels, str]]:
    """Series of `x`, filtered by the limit at the end, as a server does it; NaN and infinities among them."""
    rng = random.Random(at)
    values = [rng.choice([rng.random(), rng.random(), float("nan"), float("inf")]) for _ in range(12)]
    there = [(model(version), value) for version, value in enumerate(values) if rng.random() < 0.8]
    limit = float(text.partition(">")[2] or "-inf")
    return [(labels, repr(value)) for labels, value in there if text == "x" or value > limit]


@pytest.fixture
def source() -> Iterator[PrometheusSource]:
    config = PrometheusConfig(url="http://prometheus.test", max_samples=1_000)
    with closing(PrometheusSource(config, ModelTable(), Path())) as made:
        yield made


def batches(chunks: Iterator[HistoryChunk]) -> list[dict[str, object]]:
    return [plain(chunk.batch(index)) for chunk in chunks for index in range(len(chunk.slots))]


def test_queries_that_differ_only_in_a_limit_are_sent_once(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """One query with the weakest limit; each gets the result of its own query."""
    fake = FakePrometheus(limited).serve(mocked)
    queries = [expr("a", "x > 0.7"), expr("b", "x > 0.2"), expr("c", "x > 0.95")]
    together = [batches(walk) for walk in _in_turn(source.chunks(queries, SLOTS, 0))]
    assert {params["query"] for _, params in fake.asked} == {"x > 0.2"}
    apart = [[plain(batch) for batch in source.history(query, SLOTS, 0)] for query in queries]
    assert together == apart
    assert len({repr(found) for found in together}) == 3


def _in_turn(walks: list[Iterator[HistoryChunk]]) -> list[Iterator[HistoryChunk]]:
    """Advance several iterators in step, as a replay does."""
    rows = list(zip(*walks, strict=True))
    return [iter(column) for column in zip(*rows, strict=True)]


def test_queries_of_different_models_or_columns_are_sent_separately(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Queries that differ in more than a limit are sent separately."""
    fake = FakePrometheus(lambda text, at: []).serve(mocked)
    other = SignalQuery("two", EventKind.CUSTOM, {"value": "x > 1", "n": "rows"})
    for walk in source.chunks([expr("a", "x > 1"), expr("b", "y > 1"), expr("c", "x < 1"), other], SLOTS[:3], 0):
        assert len(batches(walk)) == 3
    assert sorted(params["query"] for _, params in fake.asked) == ["rows", "x < 1", "x > 1", "x > 1", "y > 1"]


def test_all_samples_of_a_piece_are_those_of_its_batches(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """In the same order, slot by slot."""
    FakePrometheus(limited).serve(mocked)
    (walk,) = source.chunks([expr("a", "x")], SLOTS, 0)
    seen = 0
    for chunk in walk:
        whole = chunk.whole()
        assert whole is not None
        batch, slot_index = whole
        for index in range(len(chunk.slots)):
            one, here = chunk.batch(index), slot_index == index
            assert batch.index[here].tolist() == one.index.tolist()
            assert repr(batch.values()[here].tolist()) == repr(one.values().tolist())
            seen += len(one)
    assert seen > 500


def twins(text: str, at: int) -> list[tuple[Labels, str]]:
    return [(model(1, pod=f"pod-{at // (3 * MINUTE)}"), "1"), (model(2), "1")]


@pytest.mark.parametrize(
    ("query", "envelope"),
    [
        (SignalQuery("two", EventKind.CUSTOM, {"value": "x", "n": "rows"}), {}),
        (expr("moving", "x"), {}),
        (expr("many", "x", limit=1), {}),
        (expr("partial", "x"), {"warnings": ["not all"]}),
    ],
    ids=["columns", "twins", "limit", "partial"],
)
def test_what_is_not_simple_must_be_checked_slot_by_slot(
    source: PrometheusSource, mocked: responses.RequestsMock, query: SignalQuery, envelope: dict[str, object]
) -> None:
    """Several columns, duplicate models, more series than the limit, a partial answer."""
    FakePrometheus(twins, envelope=envelope).serve(mocked)
    (walk,) = source.chunks([query], SLOTS[:5], 0)
    assert [chunk.whole() for chunk in walk] == [None]


def test_one_error_is_that_of_all_that_share_a_walk(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """The error ends all of the iterators."""
    mocked.get(
        "http://prometheus.test/api/v1/query_range",
        status=400,
        body='{"status":"error","errorType":"bad_data","error":"wrong"}',
    )
    walks = source.chunks([expr("a", "x > 1"), expr("b", "x > 2")], SLOTS, 0)
    assert len(walks) == 2
    for walk in walks:
        with pytest.raises(SourceError, match="wrong"):
            next(walk)


# ---------------------------------------------------------------- ahead


def numbers(began: list[int], ended: threading.Event) -> Generator[int, None, None]:
    try:
        for number in range(5):
            began.append(number)
            yield number
        raise SourceError("over", reason="network", transient=True)
    finally:
        ended.set()


def test_the_next_piece_is_fetched_while_one_is_used() -> None:
    """One chunk ahead, not more; an error is raised at the chunk that it concerns."""
    began, ended = list[int](), threading.Event()
    walk = prefetch(numbers(began, ended))
    assert began == []
    assert next(walk) == 0
    assert [next(walk) for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(SourceError, match="over"):
        next(walk)
    assert ended.is_set()


def test_an_abandoned_walk_leaves_no_thread() -> None:
    """The prefetched chunk is discarded."""
    before, ended = threading.active_count(), threading.Event()
    walk = prefetch(numbers([], ended))
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    assert ended.is_set()
    assert threading.active_count() == before


def test_values_of_a_piece_are_not_changed_by_a_stricter_limit(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Chunks of several limits share one table of numbers."""
    FakePrometheus(limited).serve(mocked)
    loose, strict = source.chunks([expr("a", "x > 0.1"), expr("b", "x > 0.9")], SLOTS[:5], 0)
    one, other = next(loose), next(strict)
    assert np.shares_memory(one.columns[0].samples.values, other.columns[0].samples.values)  # type: ignore[attr-defined]
    assert one.batch(0).elements > other.batch(0).elements


def test_all_samples_of_a_piece_without_gaps_are_those_of_its_batches(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Also if every model is present in every slot."""
    FakePrometheus(lambda text, at: [(model(version), str(at % 1_000_003 + version)) for version in range(7)]).serve(
        mocked
    )
    (walk,) = source.chunks([expr("a", "x")], SLOTS[:50], 0)
    chunks = list(walk)
    assert sum(len(chunk.slots) for chunk in chunks) == 50
    for chunk in chunks:
        whole = chunk.whole()
        assert whole is not None
        batch, slot_index = whole
        assert len(batch) == 7 * len(chunk.slots)
        for index in range(len(chunk.slots)):
            one, here = chunk.batch(index), slot_index == index
            assert batch.index[here].tolist() == one.index.tolist()
            assert batch.values()[here].tolist() == one.values().tolist()
