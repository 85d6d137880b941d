"""A bridge's web application in this process, over fakes, and a client of it."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from bridge.engine.api.interface import Queries
from bridge.web.app import create_app
from bridge.web.http.settings import WebConfig, WebSettings
from bridge.web.upstream import NO_UPSTREAM, Upstream
from tests.support.fake_views import AT, FakeCommands, FakeQueries


class Site:
    """An application and what it was asked."""

    def __init__(
        self, settings: WebSettings | None = None, secrets: tuple[str, ...] = (), client: str = "127.0.0.1",
        queries: Queries | None = None, upstream: Upstream = NO_UPSTREAM,
    ) -> None:  # fmt: skip
        self.queries, self.commands = FakeQueries(), FakeCommands()
        app = create_app(
            queries or self.queries, self.commands, settings or WebSettings(), lambda now: f"now {now}\n".encode(),
            WebConfig(), lambda: AT, lambda: secrets, upstream=upstream,
        )  # fmt: skip
        self.http = TestClient(app, base_url="http://127.0.0.1:9095", client=(client, 50_000))

    def data(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "success"
        return answer.json()["data"]
