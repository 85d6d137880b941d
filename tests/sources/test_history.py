"""History in chunks: how it is split, and that the result does not depend on it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import responses

from bridge.domain.batch import EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import LabelRef, ModelLabels, SignalQuery
from bridge.domain.times import MINUTE
from bridge.sources.api import Api
from bridge.sources.history import runs, walk
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from bridge.sources.reading import Reader
from tests.support.batches import plain
from tests.support.fake_prometheus import FakePrometheus, Labels, model

AT = 1_794_182_400_000
DRIFT = SignalQuery("drift", EventKind.DRIFT, {"value": "drift"})


@pytest.fixture
def source() -> Iterator[PrometheusSource]:
    config = PrometheusConfig(url="http://prometheus.test", max_samples=1_000)
    with closing(PrometheusSource(config, ModelTable(), Path())) as made:
        yield made


def slots(count: int, step: int = MINUTE) -> list[int]:
    return [AT + index * step for index in range(count)]


def points(fake: FakePrometheus) -> list[int]:
    """Return the number of points of each range query."""
    found = []
    for path, params in fake.asked:
        assert path == "/api/v1/query_range"
        found.append(round((float(params["end"]) - float(params["start"])) / float(params["step"])) + 1)
    return found


def flickering(expr: str, at: int) -> list[tuple[Labels, str]]:
    """Return series by instant: models that come and go, a series that moves between pods, one without a label."""
    rng = random.Random(at + len(expr))
    found = [(model(version), repr(rng.random())) for version in range(20) if rng.random() < 0.7]
    found.append((model("moving", pod=f"pod-{at // (7 * MINUTE)}"), rng.choice(["NaN", "+Inf", "-Inf", "1"])))
    if rng.random() < 0.3:
        found.append(({"project": "shop"}, "1"))
    rng.shuffle(found)
    return found


def test_slots_are_cut_where_their_spacing_changes() -> None:
    """Each run is one grid."""
    assert list(runs([0, 10, 20, 50, 80, 85])) == [[0, 10, 20], [50, 80], [85]]
    assert list(runs([0])) == [[0]]
    assert list(runs([])) == []


@pytest.mark.parametrize("step", [MINUTE, 15_000, 1_500, 7])
def test_the_past_in_pieces_equals_the_present_slot_by_slot(
    source: PrometheusSource, mocked: responses.RequestsMock, step: int
) -> None:
    """A model whose series moves to another pod within a chunk remains one model."""
    FakePrometheus(flickering).serve(mocked)
    query = SignalQuery("two", EventKind.CUSTOM, {"value": "drift", "n": "rows"})
    past = [plain(batch) for batch in source.history(query, slots(150, step), 30_000)]
    present = [plain(source.instant(query, slot, slot - 30_000)) for slot in slots(150, step)]
    assert past == present


def test_pieces_grow_to_what_the_number_of_series_allows(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """At most max_samples a query: 20 series fit 50 times into 1,000."""
    fake = FakePrometheus(lambda expr, at: [(model(version), "1") for version in range(20)]).serve(mocked)
    assert len(list(source.history(DRIFT, slots(200), 0))) == 200
    assert points(fake) == [5, 40, 50, 50, 50, 5]
    assert [params["start"] for _, params in fake.asked[:3]] == ["1794182400", "1794182700", "1794185100"]


def test_no_range_query_requests_more_than_11000_points(mocked: responses.RequestsMock) -> None:
    """Prometheus refuses more, however few series there are."""
    fake = FakePrometheus(lambda expr, at: []).serve(mocked)
    with closing(PrometheusSource(PrometheusConfig(url="http://prometheus.test"), ModelTable(), Path())) as source:
        assert sum(1 for _ in source.history(DRIFT, slots(30_000), 0)) == 30_000
    assert points(fake) == [5, 40, 320, 2560, 11_000, 11_000, 5_075]


def test_more_series_than_samples_fit_are_read_slot_by_slot(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """A chunk has at least one point."""
    fake = FakePrometheus(lambda expr, at: [(model(version), "1") for version in range(1_500)]).serve(mocked)
    assert len(list(source.history(DRIFT, slots(8), 0))) == 8
    assert points(fake) == [5, 1, 1, 1]


def test_no_chunk_is_queried_before_it_is_needed(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """Batches are streamed: the second chunk is queried when the first is used up."""
    fake = FakePrometheus(flickering).serve(mocked)
    walk = source.history(DRIFT, slots(50), 0)
    assert fake.asked == []
    for _ in range(5):
        next(walk)
    assert len(fake.asked) == 1
    next(walk)
    assert len(fake.asked) == 2


@pytest.mark.parametrize("wanted", [3, 50])
def test_a_walk_that_ends_leaves_no_label_sets_behind(mocked: responses.RequestsMock, wanted: int) -> None:
    """At the end, or when the iterator is closed: a long history with churn would otherwise stay in memory."""
    FakePrometheus(lambda expr, at: [(model(1, pod=f"{index}"), "1") for index in range(2_000)]).serve(mocked)
    query = SignalQuery("pods", EventKind.CUSTOM, {"value": "pods"}, ModelLabels(version=LabelRef("pod")))
    with closing(Api(PrometheusConfig(url="http://prometheus.test"), Path(), 30.0)) as api:
        reader = Reader(api, ModelTable())
        steps = walk(reader, query, slots(50), 0, 500_000)
        for _ in range(wanted):
            next(steps)
        steps.close()  # type: ignore[attr-defined]
        reader.at_instant(
            SignalQuery("one", EventKind.CUSTOM, {"value": "pods"}, query.mapping), "value", AT, api.deadline()
        )
        assert reader.known() == {"one/value": 2_000}


def test_a_piece_that_is_too_much_for_the_server_is_cut(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Beyond --query.max-samples the server answers 422: the chunk is reduced to a quarter, also from then on."""
    fake = FakePrometheus(lambda expr, at: [(model(1), "1")], most_points=20).serve(mocked)
    assert len(list(source.history(DRIFT, slots(40), 0))) == 40
    assert points(fake) == [5, 35, 35, 8, 8, 8, 8, 3]


def test_what_no_cut_can_cure_is_raised(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """An invalid expression fails at once; one that fails even for a single point fails after that."""
    fake = FakePrometheus(lambda expr, at: [], most_points=0).serve(mocked)
    with pytest.raises(SourceError, match="too many samples"):
        list(source.history(DRIFT, slots(60), 0))
    assert points(fake) == [5, 5, 1, 1]
    url = "http://prometheus.test/api/v1/query_range"
    mocked.remove(responses.GET, url)
    bad = mocked.get(url, status=400, body='{"status":"error","errorType":"bad_data","error":"wrong"}')
    with pytest.raises(SourceError, match="wrong"):
        list(source.history(DRIFT, slots(60), 0))
    assert bad.call_count == 1


def test_the_slot_that_an_instant_query_would_refuse_is_refused_and_the_slots_before_it_are_not(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Duplicates that appear later do not affect earlier slots."""

    def twins_later(expr: str, at: int) -> list[tuple[Labels, str]]:
        return [(model(1, pod="a"), "1"), *([(model(1, pod="b"), "1")] if at >= AT + 3 * MINUTE else [])]

    FakePrometheus(twins_later).serve(mocked)
    walk = source.history(DRIFT, slots(10), 0)
    assert [batch.slot for batch in (next(walk), next(walk), next(walk))] == slots(3)
    with pytest.raises(SourceError) as caught:
        next(walk)
    assert caught.value.reason == "duplicate_model"


def test_the_limit_holds_at_every_slot_of_its_own(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """Three series in all, but never more than two at once, are within a limit of two."""
    FakePrometheus(lambda expr, at: [(model(1), "1"), (model(at // MINUTE % 2 + 2), "1")]).serve(mocked)
    query = SignalQuery("drift", EventKind.DRIFT, {"value": "drift"}, limit=2)
    assert [len(batch) for batch in source.history(query, slots(4), 0)] == [2, 2, 2, 2]
    tighter = SignalQuery("drift", EventKind.DRIFT, {"value": "drift"}, limit=1)
    with pytest.raises(SourceError, match="more than limit: 1"):
        list(source.history(tighter, slots(4), 0))
