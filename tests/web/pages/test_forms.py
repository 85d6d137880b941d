"""Forms of pages, and the messages after them."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from bridge.web.pages.forms import FORM, confirmation, form
from bridge.web.pages.request_actions import ACTIONS, FEEDBACK
from tests.support.fake_views import ID
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_other_bodies_than_forms_are_refused(site: Site) -> None:
    """JSON belongs to the API; long text is not truncated silently."""
    path = f"/requests/{ID}/approve"
    assert site.http.post(path, json={"by": "kim"}).status_code == 415
    assert site.http.post(path, data={"note": "x" * 1001}).status_code == 400
    assert site.http.post(path, data={f"f{n}": "x" for n in range(60)}).status_code == 400
    assert site.commands.acts == []


def test_a_link_cannot_inject_a_message(site: Site) -> None:
    """A link cannot inject text into the page."""
    page = site.http.get(f"/requests/{ID}", params={"result": "You are hacked"}).text
    assert "hacked" not in page
    assert 'class="done"' not in page


def test_every_action_has_a_message() -> None:
    """An unknown key has none."""
    assert all(confirmation(name) for name in (*ACTIONS, *FEEDBACK, "create", "pause", "resume", "reload"))
    assert confirmation("hacked") == ""


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"by=%20kim%20&note=", {"by": "kim", "note": ""}),
        (b"by=a&by=b", {"by": "b"}),
        (b"", {}),
    ],
)
def test_fields_are_stripped(body: bytes, fields: dict[str, str]) -> None:
    """Of several values the last one counts."""
    assert asyncio.run(form(request(body))) == fields


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"by=a", "multipart/form-data", 415), (b"by=a", "", 415), (b"\xff=1", FORM, 400),
        (b"by=" + b"x" * 201, FORM, 400), (b"reason=" + b"x" * 1001, FORM, 400),
    ],
)  # fmt: skip
def test_other_forms_are_refused(body: bytes, kind: str, status: int) -> None:
    with pytest.raises(HTTPException) as caught:
        asyncio.run(form(request(body, kind)))
    assert caught.value.status_code == status


def request(body: bytes, kind: str = f"{FORM}; charset=utf-8") -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "headers": [(b"content-type", kind.encode())]}, receive)
