"""The application: health, readiness, metrics, documentation."""

from __future__ import annotations

import pytest

from tests.support.fake_views import (
    AT,
)
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_readiness_has_a_reason(site: Site) -> None:
    """An orchestrator restarts on the first and waits for the second."""
    assert site.http.get("/-/healthy").status_code == 200
    assert site.http.get("/-/ready").text == "retrain-bridge is ready.\n"
    site.queries.why = "the store cannot be written: full"
    answer = site.http.get("/-/ready")
    assert (answer.status_code, "the store cannot be written: full" in answer.text) == (503, True)


def test_metrics_are_text(site: Site) -> None:
    """The content type is 0.0.4, and the instant is the present."""
    answer = site.http.get("/metrics")
    assert (answer.text, answer.headers["content-type"]) == (f"now {AT}\n", "text/plain; version=0.0.4; charset=utf-8")


def test_documentation_loads_nothing_from_other_origins(site: Site) -> None:
    """FastAPI's own pages would load scripts from other origins."""
    assert "/api/v1/requests/{request_id}" in site.http.get("/openapi.json").json()["paths"]
    page = site.http.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("//localhost", "")
    assert site.http.get("/redoc").status_code == 404
