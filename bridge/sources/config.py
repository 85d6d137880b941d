"""`prometheus` block of bridge.yml."""

from __future__ import annotations

from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from bridge.net.http_config import HttpConfig


def _server(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable:
        raise ValueError(
            "must be the http or https URL of a Prometheus-compatible server, such as http://localhost:9090"
        )
    if parts.username or parts.password:
        raise ValueError("must not contain a user or password; use basic_auth")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or fragment; only scheme, host and path prefix")
    return url.rstrip("/")


ServerUrl = Annotated[str, AfterValidator(_server)]


Flavor = Literal["prometheus", "thanos", "mimir", "victoriametrics", "amazon", "google", "azure", "grafana_cloud"]
FLAVORS: tuple[Flavor, ...] = get_args(Flavor)


class PrometheusConfig(HttpConfig):
    """Server that is queried: `url`, and the http_config keys of prometheus.yml beside it.

    flavor: kind of server behind the url. `check` reports PromQL errors as warnings where it is not Prometheus.
    partial_response: sent as the query parameter of that name if set (Thanos: false refuses partial answers; Prometheus
    ignores it). max_samples: upper bound for the samples of one range query. max_answer_bytes: larger answers are
    refused.
    """

    url: ServerUrl
    flavor: Flavor = "prometheus"
    partial_response: bool | None = None
    max_samples: Annotated[int, Field(ge=1_000)] = 500_000
    max_answer_bytes: Annotated[int, Field(ge=65_536)] = 256 * 1024 * 1024
