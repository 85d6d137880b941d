"""The `prometheus` block: valid settings, and errors with their remedy."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bridge.sources.config import PrometheusConfig


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://localhost:9090", "http://localhost:9090"),
        ("https://mimir.test/prometheus/", "https://mimir.test/prometheus"),
    ],
)
def test_a_url_may_have_a_path_prefix(url: str, kept: str) -> None:
    """Thanos, Mimir and reverse proxies serve the API below one."""
    assert PrometheusConfig(url=url).url == kept


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:9090", "http or https URL"),
        ("ftp://prometheus", "http or https URL"),
        ("http://", "http or https URL"),
        ("http://me:hunter2@prometheus", "use basic_auth"),
        ("http://prometheus?query=up", "query or fragment"),
        ("http://[broken", "http or https URL"),
        ("http://prometheus:port", "http or https URL"),
    ],
)
def test_other_urls_are_refused(url: str, says: str) -> None:
    """The message never repeats a password."""
    with pytest.raises(ValidationError, match=says) as caught:
        PrometheusConfig(url=url)
    assert "hunter2" not in str(caught.value)


def test_the_keys_of_http_config_stand_beside_the_url() -> None:
    """As in prometheus.yml."""
    config = PrometheusConfig.model_validate(
        {"url": "http://p", "basic_auth": {"username": "me", "password": "pw"}, "tls_config": {"server_name": "x"}}
    )
    assert config.basic_auth is not None
    assert config.basic_auth.password.reveal() == "pw"
    assert config.follow_redirects is True


@pytest.mark.parametrize("key", ["max_samples", "max_answer_bytes"])
def test_limits_that_would_stop_everything_are_refused(key: str) -> None:
    """A limit that is too small is refused."""
    with pytest.raises(ValidationError, match=key):
        PrometheusConfig.model_validate({"url": "http://p", key: 10})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tenant": "a"}, "tenant requires flavor thanos or mimir; Prometheus has no tenants"),
        ({"flavor": "victoriametrics", "tenant": "1"}, "has the tenant in its url: /select/TENANT/prometheus"),
        (
            {"flavor": "mimir", "tenant": "a", "http_headers": {"x-scope-orgid": {"values": ["b"]}}},
            "tenant and http_headers both set X-Scope-OrgID",
        ),
        ({"flavor": "mimir", "partial_response": True}, "partial_response cannot be combined with flavor mimir"),
        ({"sigv4": {}, "basic_auth": {"username": "a"}}, "at most one of sigv4, basic_auth may be set"),
        ({"azuread": {"managed_identity": {}}, "google_iam": {}}, "at most one of azuread, google_iam may be set"),
        ({"sigv4": {}, "bearer_token_file": "t"}, "at most one of sigv4, bearer_token_file"),
    ],
)
def test_settings_that_do_not_fit_the_flavor_are_refused(settings: dict[str, object], says: str) -> None:
    """With what would be right."""
    with pytest.raises(ValidationError, match=says):
        PrometheusConfig.model_validate({"url": "http://p", **settings})
