"""Server's application, which changes while the server runs."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from bridge.web.http.switch import Switch


def saying(text: str) -> Starlette:
    async def said(_: Request) -> PlainTextResponse:
        return PlainTextResponse(text)

    return Starlette(routes=[Route("/", said)])


def test_every_request_goes_to_the_present_application() -> None:
    """Also one over a connection that was opened before the change."""
    switch = Switch(saying("starting"))
    client = TestClient(switch)
    before = client.get("/").text
    switch.app = saying("started")
    assert (before, client.get("/").text) == ("starting", "started")
