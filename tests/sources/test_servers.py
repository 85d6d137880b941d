"""Source over several servers: each query goes to the server that it names. tests/integration has real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import responses

from bridge.domain.errors import ConfigError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import DEFAULT_SERVER
from bridge.sources.config import PrometheusConfig
from bridge.sources.servers import PrometheusServers, section_of
from tests.support.fake_prometheus import FakePrometheus, Labels, model
from tests.support.world import DRIFT

AT = 1_700_000_000_000
URLS = {DEFAULT_SERVER: "http://one.test", "eu": "http://two.test"}


@pytest.fixture
def servers() -> Iterator[PrometheusServers]:
    """Two servers, whose only model is named after their address."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        for url in URLS.values():

            def answer(expr: str, at: int, url: str = url) -> list[tuple[Labels, str]]:
                return [(model(url), "0.5")]

            FakePrometheus(answer, url=url).serve(mocked)
        configs = {name: PrometheusConfig(url=url) for name, url in URLS.items()}
        made = PrometheusServers(configs, ModelTable(), Path())
        yield made
        made.close()


@pytest.mark.parametrize("name", list(URLS))
def test_a_query_goes_to_its_server(servers: PrometheusServers, name: str) -> None:
    batch = servers.instant(replace(DRIFT, server=name), AT, AT)
    assert [batch.table[row] for row in batch.index.tolist()] == [ModelKey("shop", "fraud", URLS[name])]
    (sample,) = servers.evaluate("m", AT, name)
    assert sample.labels["version"] == URLS[name]


def test_the_section_of_a_server_is_its_path_in_the_file() -> None:
    assert [section_of(name) for name in URLS] == [DEFAULT_SERVER, "prometheus_servers.eu"]


def test_an_error_names_the_server(tmp_path: Path) -> None:
    """And its key path."""
    wrong = PrometheusConfig.model_validate({"url": "http://x", "tls_config": {"ca_file": "none.pem"}})
    with pytest.raises(ConfigError) as caught:
        PrometheusServers({"eu": wrong}, ModelTable(), tmp_path)
    assert "prometheus_servers.eu" in str(caught.value)
