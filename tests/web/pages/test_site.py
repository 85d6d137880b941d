"""Shared parts of pages: links, formats, incomplete pages."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridge.domain.errors import StoreError
from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.web.http.settings import WebSettings
from bridge.web.pages import site as pages
from bridge.web.pages.site import read
from tests.support.fake_views import AT, ID, REQUEST, FakeCommands, FakeQueries
from tests.support.web_app import Site

PRESSED = {"by": ""}  # a form as a browser sends it when nothing was filled in


def test_links_and_forms_have_the_path_of_the_external_url() -> None:
    """A proxy serves the bridge below a path."""
    site = Site(WebSettings(external_url="http://127.0.0.1/bridge/"))
    waiting = structs.replace(REQUEST, state=RequestState.AWAITING_APPROVAL)
    site.queries.request = lambda request_id: waiting if request_id == ID else None  # type: ignore[method-assign]
    assert f'action="/bridge/requests/{ID}/approve"' in site.http.get(f"/bridge/requests/{ID}/approve").text
    answer = site.http.post(f"/bridge/requests/{ID}/approve", data=PRESSED, follow_redirects=False)
    assert answer.headers["location"] == f"/bridge/requests/{ID}?result=approve"


def test_an_error_of_a_query_is_shown_once() -> None:
    """The rest of the page is shown; other errors are not hidden."""

    def failing() -> list[int]:
        raise StoreError("full")

    problems: list[str] = []
    assert (read(failing, problems), read(failing, problems), read(lambda: [1], problems)) == ([], [], [1])
    assert problems == ["This page is incomplete: full"]
    with pytest.raises(ZeroDivisionError):
        read(lambda: [1 // 0], problems)


def test_links_are_quoted() -> None:
    """Empty parts of a query are left out, zero is not."""
    site = pages.Site(FakeQueries(), FakeCommands(), WebSettings(external_url="http://x/bridge/"), lambda: AT)
    assert site.link("/models", state="", page=0, rule=["a", "b"]) == "/bridge/models?page=0&rule=a&rule=b"
    assert site.model_link(ModelKey("", "a&b", "7/8")) == "/bridge/model?project=&pipeline=a%26b&version=7%2F8"
    assert site.request_link("a/b?c") == "/bridge/requests/a%2Fb%3Fc"


def test_rows_are_numbered_over_all_pages() -> None:
    assert [pages.Paging(number, 50, True).first for number in (1, 2)] == [1, 51]
