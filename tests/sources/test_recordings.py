"""Recorded answers of a real Prometheus, with the exact queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import responses

from bridge.domain.batch import EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import LabelRef, ModelLabels, SignalQuery
from bridge.domain.verdict import Cause
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from tests.support.recordings import recording

URL = "http://prometheus.test:9090/prefix"
DRIFT = 'model_drift_score{project="nab-realknowncause",pipeline="nyc-taxi"}'
CONSTANT = ModelLabels(LabelRef(const="lab"), LabelRef(const="fraud"), LabelRef(const="3"))
BY_LABEL = ModelLabels()
AT = 1_794_182_400_000


@pytest.fixture
def source() -> Iterator[PrometheusSource]:
    with closing(PrometheusSource(PrometheusConfig(url=URL + "/"), ModelTable(), Path(), timeout=5)) as made:
        yield made


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def signal(expr: str, mapping: ModelLabels = BY_LABEL) -> SignalQuery:
    return SignalQuery("drift", EventKind.DRIFT, {"value": expr}, mapping)


def test_a_vector_becomes_a_batch(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """One GET with the rule's PromQL, the instant and the timeout; one element of the batch per series."""
    params = {"query": DRIFT, "time": "1794182400", "timeout": "5"}
    recording("prometheus-2.42", "01_vector").mock(mocked, URL, params)
    batch = source.instant(signal(DRIFT), AT + 30_000, AT)
    assert [batch.table[slot] for slot in batch.index.tolist()] == [ModelKey("nab-realknowncause", "nyc-taxi", "v1")]
    assert batch.columns["value"].tolist() == [10938.0]
    assert (batch.slot, batch.name, batch.elements, dict(batch.skipped)) == (AT + 30_000, "drift", 1, {})
    assert batch.series == [
        b'{"__name__":"model_drift_score","pipeline":"nyc-taxi","project":"nab-realknowncause","version":"v1"}'
    ]
    assert batch.cause is Cause.NONE


def test_milliseconds_of_the_instant_are_sent(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """A slot between two seconds is queried exactly."""
    params = {"query": DRIFT, "time": "1794182400.007", "timeout": "5"}
    recording("prometheus-2.42", "01_vector").mock(mocked, URL, params)
    assert len(source.instant(signal(DRIFT), AT + 7, AT + 7)) == 1


def test_an_empty_vector_is_an_empty_batch(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """No series is an answer, not a failure."""
    params = {"query": "none", "time": "1794182400", "timeout": "5"}
    recording("prometheus-2.42", "02_vector_empty").mock(mocked, URL, params)
    batch = source.instant(signal("none"), AT, AT)
    assert (len(batch), batch.elements, batch.columns["value"].tolist()) == (0, 0, [])


@pytest.mark.parametrize("name", ["03_matrix", "04_matrix_post_form"])
def test_a_matrix_becomes_one_batch_per_slot(
    source: PrometheusSource, mocked: responses.RequestsMock, name: str
) -> None:
    """A range query on the grid of the slots minus the offset; `nocache` keeps VictoriaMetrics on that grid."""
    params = {
        "query": DRIFT, "start": "1794096000", "end": "1794103200", "step": "1800", "timeout": "5", "nocache": "1"
    }  # fmt: skip
    made = recording("prometheus-2.42", name)
    cut = made.body[: made.body.index(",[1794105000")] + "]}]}}"
    mocked.get(URL + "/api/v1/query_range", body=cut, match=[responses.matchers.query_param_matcher(params)])
    slots = [1_794_096_030_000 + index * 1_800_000 for index in range(5)]
    batches = list(source.history(signal(DRIFT), slots, 30_000))
    assert [batch.slot for batch in batches] == slots
    assert [batch.columns["value"].tolist() for batch in batches] == [
        [25423.0],
        [23964.0],
        [22134.0],
        [20253.0],
        [19354.0],
    ]


def test_a_scalar_belongs_to_the_model_that_the_constants_name(
    source: PrometheusSource, mocked: responses.RequestsMock
) -> None:
    """If all three parts are constant, a number without labels has a model."""
    params = {"query": "scalar(vector(1))", "time": "1794182400", "timeout": "5"}
    recording("prometheus-2.42", "05_scalar").mock(mocked, URL, params)
    batch = source.instant(signal("scalar(vector(1))", CONSTANT), AT, AT)
    assert [batch.table[slot] for slot in batch.index.tolist()] == [ModelKey("lab", "fraud", "3")]
    assert batch.columns["value"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("name", "mapping", "reason", "transient", "says"),
    [
        ("05_scalar", ModelLabels(), "bad_data", False, "give project, pipeline and version as constants"),
        ("06_string", CONSTANT, "bad_data", False, "is a string"),
        ("03_matrix", ModelLabels(), "bad_data", False, "range vector"),
        ("07_parse_error_400", ModelLabels(), "bad_data", False, "unexpected end of input inside braces"),
        ("08_too_many_points_400", ModelLabels(), "bad_data", False, "11,000 points"),
        ("09_query_missing_400", ModelLabels(), "bad_data", False, "no expression found"),
        ("10_not_found_404", ModelLabels(), "not_prometheus", False, "404 page not found"),
    ],
)
def test_a_refusal_is_a_source_error_in_the_servers_words(
    source: PrometheusSource, mocked: responses.RequestsMock, name: str, mapping: ModelLabels, reason: str,
    transient: bool, says: str,
) -> None:  # fmt: skip
    """400 is an error in the expression: reported unchanged, and not retried."""
    made = recording("prometheus-2.42", name)
    mocked.get(URL + "/api/v1/query", body=made.body, status=made.status, content_type=made.content_type)
    with pytest.raises(SourceError, match=says) as caught:
        source.instant(signal("x", mapping), AT, AT)
    assert (caught.value.reason, caught.value.transient) == (reason, transient)
    assert caught.value.cause is Cause.QUERY_ERROR
    assert len(mocked.calls) == 1


def test_a_long_expression_goes_as_a_form(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """Beyond 2,000 bytes the query is a POST with the same parameters in its body."""
    expr = " or ".join([DRIFT] * 40)
    mocked.post(URL + "/api/v1/query", body=recording("prometheus-2.42", "01_vector").body)
    assert len(source.instant(signal(expr), AT, AT)) == 1
    request = mocked.calls[0].request
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert isinstance(request.body, bytes)
    assert parse_qsl(request.body.decode()) == [("query", expr), ("time", "1794182400"), ("timeout", "5")]


def test_a_server_without_post_is_queried_by_get(source: PrometheusSource, mocked: responses.RequestsMock) -> None:
    """After 405 on a POST: the same query as a GET, and no further POST."""
    expr = " or ".join([DRIFT] * 40)
    post = mocked.post(URL + "/api/v1/query", status=405, body="method not allowed")
    get = mocked.get(URL + "/api/v1/query", body=recording("prometheus-2.42", "01_vector").body)
    for _ in range(2):
        assert len(source.instant(signal(expr), AT, AT)) == 1
    assert (post.call_count, get.call_count) == (1, 2)


def test_partial_response_is_sent_only_when_configured(mocked: responses.RequestsMock) -> None:
    """Thanos' parameter, in its own spelling."""
    config = PrometheusConfig(url=URL, partial_response=False)
    params = {"query": DRIFT, "time": "1794182400", "timeout": "2.5", "partial_response": "false"}
    recording("prometheus-2.42", "01_vector").mock(mocked, URL, params)
    with closing(PrometheusSource(config, ModelTable(), Path(), timeout=2.5)) as source:
        assert len(source.instant(signal(DRIFT), AT, AT)) == 1
