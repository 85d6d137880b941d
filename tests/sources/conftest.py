"""A Prometheus that the `responses` package answers for, and a client of it that does not sleep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import responses

from bridge.sources.api import Api
from bridge.sources.config import PrometheusConfig

URL = "http://prometheus.test:9090"
QUERY = URL + "/api/v1/query"
GOOD = '{"status":"success","data":{"resultType":"vector","result":[]}}'


def ask(api: Api, params: dict[str, str] | None = None) -> bytes:
    return api.query("/api/v1/query", params or {"query": "x"}, api.deadline())


def prometheus_error(kind: str, text: str = "why") -> str:
    return f'{{"status":"error","errorType":"{kind}","error":"{text}"}}'


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def api(pauses: list[float]) -> Iterator[Api]:
    with closing(Api(PrometheusConfig(url=URL), Path(), 30.0, pause=pauses.append)) as made:
        yield made
