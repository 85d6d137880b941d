"""Page of the API documentation."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from bridge.web.http.settings import WebSettings
from bridge.web.pages.api_docs import operations
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_every_operation_is_on_the_page(site: Site) -> None:
    """The page has its parameters and its body."""
    page = site.http.get("/docs").text
    found = [operation for _, operation in operations(site.http.get("/openapi.json").json())]
    assert len(found) > 20
    for operation in found:
        assert f'<details id="{operation.id}">' in page
        for field in operation.fields:
            assert field.name in page
    assert len({operation.id for operation in found}) == len(found)
    assert ">awaiting_approval</option>" in page
    assert "<code>reason</code> (required)" in page


def test_a_form_calls_the_operation(site: Site) -> None:
    """Empty fields are omitted, path parameters are inserted."""
    asked = f"/docs/try?_path={quote('/api/v1/decisions')}&rule=a%26b&limit=5&project=&other=1"
    assert site.http.get(asked, follow_redirects=False).headers["location"] == "/api/v1/decisions?rule=a%26b&limit=5"
    asked = f"/docs/try?_path={quote('/api/v1/requests/{request_id}')}&request_id={quote('../x?y')}"
    assert site.http.get(asked, follow_redirects=False).headers["location"] == "/api/v1/requests/..%2Fx%3Fy"
    below = Site(WebSettings(external_url="http://127.0.0.1/bridge/"))
    assert below.http.get("/docs/try?_path=/api/v1/alerts", follow_redirects=False).headers["location"] == (
        "/bridge/api/v1/alerts"
    )


@pytest.mark.parametrize("path", ["", "https://evil.example/", "//evil.example", "/-/reload", "/api/v1/nothing"])
def test_a_form_leads_nowhere_else(site: Site, path: str) -> None:
    """Only a GET of the document is a valid target."""
    answer = site.http.get(f"/docs/try?_path={quote(path)}", follow_redirects=False)
    assert answer.status_code == 404
    assert "location" not in answer.headers
