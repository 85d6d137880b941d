"""Answers of the server while the state is loaded."""

from __future__ import annotations

import http.client

import pytest

from bridge.web.app import create_app
from bridge.web.http.server import Server
from bridge.web.http.settings import WebSettings
from bridge.web.http.starting import create_starting_app
from bridge.web.http.switch import Switch
from bridge.web.http.web_config import WebConfig
from tests.support.fake_views import AT, FakeCommands, FakeQueries


@pytest.mark.parametrize("prefix", ["", "/bridge"])
def test_a_bridge_that_loads_is_healthy_and_not_ready(prefix: str) -> None:
    """A liveness probe must not kill it; later the same server answers everything."""
    settings = WebSettings("127.0.0.1:0", f"http://127.0.0.1{prefix}")
    switch = Switch(create_starting_app(settings, WebConfig()))
    server = Server(switch, settings, WebConfig())
    server.start()

    def get(path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(server.address, timeout=60)
        connection.request("GET", prefix + path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    try:
        assert get("/-/healthy") == (200, b"retrain-bridge is healthy.\n")
        for path in ("/-/ready", "/", "/metrics", "/api/v1/models"):
            status, body = get(path)
            assert (status, b"not ready" in body) == (503, True)
        switch.app = create_app(FakeQueries(), FakeCommands(), settings, lambda _: b"", WebConfig(), lambda: AT)
        assert get("/-/healthy")[0] == 200
        assert get("/api/v1/models")[0] == 200
    finally:
        server.stop(5.0)
