"""Signals with one and several columns: the queries, the batch, and errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import responses

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.domain.verdict import Cause
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from tests.support.fake_prometheus import FakePrometheus, World, model

AT = 1_794_182_400_000
Ask = Callable[..., EventBatch]


@pytest.fixture
def source() -> Iterator[PrometheusSource]:
    with closing(PrometheusSource(PrometheusConfig(url="http://prometheus.test"), ModelTable(), Path())) as made:
        yield made


def signal(*, limit: int = 0, **exprs: str) -> SignalQuery:
    return SignalQuery("s", EventKind.CUSTOM, exprs, limit=limit)


def world(**answers: list[tuple[dict[str, str], str]]) -> World:
    return lambda expr, at: answers[expr]


def rows(batch: EventBatch) -> dict[str, list[str]]:
    """Return model version -> its cells as text."""
    cells = [batch.columns[name].tolist() for name in sorted(batch.columns)]
    versions = [batch.table[slot].version for slot in batch.index.tolist()]
    return {version: [str(column[index]) for column in cells] for index, version in enumerate(versions)}


def test_one_question_serves_all_models(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """However many models there are, a signal of one column is one query."""
    fake = FakePrometheus(world(drift=[(model(version), "0.5") for version in range(300)])).serve(mocked)
    assert len(source.instant(signal(value="drift"), AT, AT)) == 300
    assert fake.asked == [("/api/v1/query", {"query": "drift", "time": "1794182400", "timeout": "30"})]


def test_errors_that_were_never_counted_are_none_where_there_was_traffic(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """A counter that never counted does not exist; without a total either, the errors are unknown."""
    answers = world(
        errors=[(model("failing"), "3"), (model("only errors"), "2"), (model("nan"), "NaN")],
        total=[(model("failing"), "10"), (model("healthy"), "20"), (model("nan"), "5")],
    )
    FakePrometheus(answers).serve(mocked)
    batch = source.instant(signal(errors="errors", total="total"), AT, AT)
    assert rows(batch) == {
        "failing": ["3.0", "10.0"], "only errors": ["2.0", "nan"], "nan": ["nan", "5.0"], "healthy": ["0.0", "20.0"]
    }  # fmt: skip
    assert batch.values().tolist()[:1] == [0.3]
    assert batch.elements == 6
    assert batch.series[3] == b'{"pipeline":"fraud","project":"shop","version":"healthy"}'


def test_the_models_of_two_columns_are_united(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """A sample that one column lacks is NaN there."""
    FakePrometheus(world(drift=[(model(1), "0.5")], rows=[(model(2), "90"), (model(1), "80")])).serve(mocked)
    batch = source.instant(signal(value="drift", n="rows"), AT, AT)
    assert rows(batch) == {"1": ["80.0", "0.5"], "2": ["90.0", "nan"]}


def test_buckets_become_a_matrix_with_ascending_counts(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Bounds sort as numbers; a decreasing count is raised; a bound that a model lacks is NaN or can be inferred."""
    seen = [
        (model(1, le="10"), "4"), (model(1, le="2"), "5"), (model(1, le="+Inf"), "6"),
        (model(2, le="2"), "1"), (model(2, le="+Inf"), "2"), (model(3), "9"), (model(5, le="10"), "0"),
    ]  # fmt: skip
    FakePrometheus(world(seconds=seen, rows=[(model(2), "7"), (model(4), "8")])).serve(mocked)
    batch = source.instant(signal(buckets="seconds", n="rows"), AT, AT)
    assert batch.bounds is not None
    assert batch.bounds.tolist() == [2.0, 10.0, float("inf")]
    assert rows(batch) == {
        "1": ["[5.0, 5.0, 6.0]", "nan"], "2": ["[1.0, nan, 2.0]", "7.0"], "4": ["[nan, nan, nan]", "8.0"],
        "5": ["[0.0, 0.0, nan]", "nan"],
    }  # fmt: skip
    assert (batch.elements, dict(batch.skipped)) == (9, {"missing_label": 1})


def test_two_series_of_one_model_are_that_signals_error(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Neither can be preferred: the message has both label sets and the remedy."""
    twins = [(model(1, pod="a"), "1"), (model(2), "1"), (model(1, pod="b"), "2"), (model(2, pod="c"), "2")]
    FakePrometheus(world(drift=twins)).serve(mocked)
    with pytest.raises(SourceError, match="shop/fraud/1") as caught:
        source.instant(signal(value="drift"), AT, AT)
    text = str(caught.value)
    assert (caught.value.reason, caught.value.transient) == ("duplicate_model", False)
    assert '"pod":"a"' in text
    assert '"pod":"b"' in text
    assert "(and 1 more)" in text
    assert "aggregate" in text


@pytest.mark.parametrize("pod", ["b", "a"])
def test_one_bucket_twice_is_an_error_too(source: PrometheusSource, mocked: responses.RequestsMock, pod: str) -> None:
    """Of two pods, or the same series again: adding up would be a guess."""
    twins = [(model(1, pod="a", le="1"), "1"), (model(1, pod=pod, le="1"), "2")]
    FakePrometheus(world(seconds=twins)).serve(mocked)
    with pytest.raises(SourceError, match="shop/fraud/1") as caught:
        source.instant(signal(buckets="seconds"), AT, AT)
    assert caught.value.reason == "duplicate_model"


def test_bounds_that_are_written_in_two_ways_add_up(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """One client says "1" and another "1.0": an aggregate by `le` has both, and each has a part of the observations."""
    seen = [
        (model(1, le="1"), "1"), (model(1, le="2.0"), "6"), (model(1, le="1.0"), "2"), (model(1, le="+Inf"), "9"),
        (model(2, le="1"), "4"), (model(2, le="+Inf"), "5"),
    ]  # fmt: skip
    FakePrometheus(world(seconds=seen)).serve(mocked)
    batch = source.instant(signal(buckets="seconds"), AT, AT)
    assert batch.bounds is not None
    assert batch.bounds.tolist() == [1.0, 2.0, float("inf")]
    assert rows(batch) == {"1": ["[3.0, 6.0, 9.0]"], "2": ["[4.0, nan, 5.0]"]}


def test_a_reference_stands_beside_its_histogram_at_the_bounds_of_both(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """A bound that one of them lacks is NaN there; a model that is only in the reference is not reported."""
    now = [(model(1, le="1"), "3"), (model(1, le="+Inf"), "4"), (model(3, le="+Inf"), "1")]
    before = [
        (model(1, le="0.5"), "5"),
        (model(1, le="+Inf"), "8"),
        (model(2, le="1"), "9"),
        (model(2, le="+Inf"), "9"),
    ]
    sums = [(model(2), "7"), (model(1), "6")]
    FakePrometheus(world(seconds=now, old=before, total=sums)).serve(mocked)
    batch = source.instant(signal(buckets="seconds", reference="old", reference_sum="total"), AT, AT)
    assert batch.bounds is not None
    assert batch.bounds.tolist() == [0.5, 1.0, float("inf")]
    assert rows(batch) == {
        "1": ["[nan, 3.0, 4.0]", "[5.0, nan, 8.0]", "6.0"],
        "3": ["[nan, nan, 1.0]", "[nan, nan, nan]", "nan"],
    }


def test_histograms_that_fill_the_memory_are_refused(
    source: PrometheusSource, mocked: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If every model has its own bounds, the table grows quadratically."""
    monkeypatch.setattr("bridge.sources.columns.MOST_CELLS", 5)
    FakePrometheus(world(seconds=[(model(number, le=str(number)), "1") for number in range(3)])).serve(mocked)
    with pytest.raises(SourceError, match="3 models have 3 different bounds") as caught:
        source.instant(signal(buckets="seconds"), AT, AT)
    assert (caught.value.reason, caught.value.transient) == ("limit", False)


@pytest.mark.parametrize(("limit", "refused"), [(0, False), (3, False), (2, True)])
def test_more_series_than_the_limit_are_refused_as_a_whole(
    source: PrometheusSource, mocked: responses.RequestsMock, limit: int, refused: bool
) -> None:
    """As in Prometheus, too many series change no state."""
    FakePrometheus(world(drift=[(model(version), "1") for version in range(3)])).serve(mocked)
    if not refused:
        assert len(source.instant(signal(value="drift", limit=limit), AT, AT)) == 3
        return
    with pytest.raises(SourceError, match="3 series, more than limit: 2") as caught:
        source.instant(signal(value="drift", limit=limit), AT, AT)
    assert caught.value.reason == "limit"


def test_a_warning_on_any_column_makes_the_batch_partial(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """Absence means nothing in a partial answer; the server's warnings are kept, each once."""
    fake = FakePrometheus(world(drift=[(model(1), "1")], rows=[]), envelope={"warnings": ["store 2 is down"]})
    fake.serve(mocked)
    batch = source.instant(signal(value="drift", n="rows"), AT, AT)
    assert (batch.cause, batch.notes) == (Cause.PARTIAL, ("store 2 is down",))


def test_infos_are_notes_only(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """Prometheus' annotations do not make an answer partial."""
    FakePrometheus(world(drift=[(model(1), "1")]), envelope={"infos": ["might not be a counter"]}).serve(mocked)
    batch = source.instant(signal(value="drift"), AT, AT)
    assert (batch.cause, batch.notes) == (Cause.NONE, ("might not be a counter",))


def test_a_flood_of_warnings_is_cut(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """At most twenty notes of 500 characters are kept."""
    fake = FakePrometheus(world(drift=[]), envelope={"warnings": [f"{index:02}" * 500 for index in range(50)]})
    fake.serve(mocked)
    notes = source.instant(signal(value="drift"), AT, AT).notes
    assert (len(notes), {len(note) for note in notes}) == (20, {500})


def test_a_missing_label_is_named_once(
    source: PrometheusSource, mocked: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    """The series is skipped and counted in every slot, but logged only once."""
    lost = {"project": "shop", "version": "1"}
    FakePrometheus(world(drift=[(lost, "1"), (model(1), "1")], other=[(lost, "1")])).serve(mocked)
    with caplog.at_level(logging.WARNING, "bridge.sources"):
        batches = [source.instant(signal(value="drift"), AT + step, AT + step) for step in (0, 1, 2)]
        assert [dict(batch.skipped) for batch in batches] == [{"missing_label": 1}] * 3
        assert len(caplog.records) == 1
        assert caplog.records[0].__dict__["label"] == "pipeline"
        assert caplog.records[0].__dict__["example"] == '{"project":"shop","version":"1"}'
        source.instant(SignalQuery("another", EventKind.CUSTOM, {"value": "other"}), AT, AT)
        assert [record.__dict__["signal"] for record in caplog.records] == ["s", "another"]


def test_a_failed_column_fails_the_signal(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """errors without total would be guesswork."""
    url = "http://prometheus.test/api/v1/query"
    match = responses.matchers.query_param_matcher
    mocked.get(
        url,
        match=[match({"query": "e"}, strict_match=False)],
        body='{"status":"success","data":{"resultType":"vector","result":[]}}',
    )
    mocked.get(url, match=[match({"query": "t"}, strict_match=False)], status=400, body="bad")
    with pytest.raises(SourceError, match="HTTP 400: bad"):
        source.instant(signal(errors="e", total="t"), AT, AT)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"status":"success","data":{"activeAlertmanagers":[{"url":"http://am:9093/api/v2/alerts"}]}}', ["http://am:9093"]),
        ('{"status":"success","data":{"activeAlertmanagers":[]}}', []),
    ],
)  # fmt: skip
def test_alertmanagers_are_listed(
    source: PrometheusSource, mocked: responses.RequestsMock, answer: str, found: list[str]
) -> None:
    """With their base URLs."""
    mocked.get("http://prometheus.test/api/v1/alertmanagers", body=answer)
    assert source.alertmanagers() == found


def test_another_answer_is_no_empty_list_of_alertmanagers(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    mocked.get("http://prometheus.test/api/v1/alertmanagers", body='{"status":"success","data":[]}')
    with pytest.raises(SourceError, match="the answer is not a list of Alertmanagers"):
        source.alertmanagers()
