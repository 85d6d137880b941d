"""Responses: the envelope, problem details, and pages for browsers."""

from __future__ import annotations

import pytest

from bridge.domain.errors import StoreFullError
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_store_error_is_a_503_with_its_text(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body is problem details, without a traceback."""

    def full(*_: object) -> None:
        raise StoreFullError("no space left")

    monkeypatch.setattr(site.queries, "decisions", full)
    answer = site.http.get("/api/v1/decisions")
    assert (answer.status_code, answer.json()["detail"]) == (503, "no space left")


def test_an_unknown_path_is_a_404(site: Site) -> None:
    """The body is problem details."""
    answer = site.http.get("/api/v2/rules")
    assert (answer.status_code, answer.json()["errorType"]) == (404, "not_found")


def test_a_405_lists_the_allowed_methods() -> None:
    """The body is problem details."""
    answer = Site().http.get("/-/reload")
    assert (answer.status_code, answer.headers["allow"], answer.json()["status"]) == (405, "POST, PUT", 405)


def test_a_browser_gets_a_page(site: Site) -> None:
    """Except from paths for programs; HTML in a path stays text."""
    browser = {"accept": "text/html,*/*"}
    page = site.http.get("/nothing/<script>", headers=browser)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<script>" not in page.text
    assert site.http.get("/api/nothing", headers=browser).json()["status"] == 404
    assert site.http.get("/nothing").json()["status"] == 404


def test_each_invalid_parameter_is_named(site: Site) -> None:
    answer = site.http.get("/api/v1/requests?limit=x&state=nope").json()
    assert answer["errorType"] == "bad_data"
    assert [item["field"] for item in answer["errors"]] == ["limit"] or {"limit"} < {
        item["field"].partition(".")[0] for item in answer["errors"]
    }
