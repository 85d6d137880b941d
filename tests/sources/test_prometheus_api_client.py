"""Facts about prometheus-api-client on which docs/decisions/0022 rests, and the calls that go through it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from prometheus_api_client import PrometheusConnect

from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource

URL = "http://prometheus.test"
SERIES = [{"metric": {"version": "7"}, "values": [[1_700_000_000.5, "0.7"]]}]
PARTIAL = {
    "status": "success", "data": {"resultType": "matrix", "result": SERIES}, "warnings": ["a store is not available"],
}  # fmt: skip


@pytest.fixture
def source() -> PrometheusSource:
    return PrometheusSource(PrometheusConfig(url=URL), ModelTable(), Path())


@responses.activate
def test_custom_query_range_rounds_to_seconds_and_drops_warnings() -> None:
    """If this fails, range reads can go through the client: see the decision record."""
    responses.get(f"{URL}/api/v1/query_range", json=PARTIAL)
    begin, end = (datetime.fromtimestamp(at, UTC) for at in (1_700_000_000.4, 1_700_000_060.4))
    found = PrometheusConnect(URL).custom_query_range("x", begin, end, "15")
    sent = parse_qs(urlsplit(str(responses.calls[0].request.url)).query)
    assert (sent["start"], sent["end"]) == (["1700000000"], ["1700000060"])
    assert found == SERIES


@responses.activate
def test_check_prometheus_connection_gives_no_reason() -> None:
    """The listing that is used instead does."""
    responses.get(f"{URL}/", status=401)
    assert PrometheusConnect(URL).check_prometheus_connection() is False


@responses.activate
def test_listings_go_through_the_client(monkeypatch: pytest.MonkeyPatch, source: PrometheusSource) -> None:
    called: list[str] = []
    for name in ("all_metrics", "get_label_names"):

        def listed(self: PrometheusConnect, params: dict[str, str], name: str = name) -> list[str]:
            called.append(f"{name} {params}")
            return ["x"]

        monkeypatch.setattr(PrometheusConnect, name, listed)
    assert source.metric_names('{job="a"}', 1_500) == ["x"]
    assert source.label_names() == ["x"]
    assert called == ["all_metrics {'start': '1.500', 'match[]': '{job=\"a\"}'}", "get_label_names {}"]


@responses.activate
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 401, "body": "no"}, "HTTP 401: no .*set basic_auth"),
        ({"status": 200, "body": "<html>"}, "not JSON"),
        ({"status": 200, "body": json.dumps({"hello": 1})}, "not from Prometheus' API"),
        ({"status": 200, "body": json.dumps({"status": "success", "data": {"a": 1}})}, "not a list of names"),
    ],
)
def test_the_first_listing_is_a_connection_check_with_a_reason(
    source: PrometheusSource, answer: dict[str, object], reason: str
) -> None:
    responses.get(f"{URL}/api/v1/label/__name__/values", **answer)
    with pytest.raises(SourceError, match=reason):
        source.metric_names()
