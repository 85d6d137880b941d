"""A coordinator inside the test's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bridge.coordinator.app import create_app
from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.server import now
from bridge.coordinator.service import Coordinator
from bridge.net.http_server import BoundedServer, ServerThread
from bridge.net.listener import listen
from tests.support.coordinator import Client

Start = Callable[..., tuple[Coordinator, Client]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start(command=[...], ...) -> a started coordinator and a client of its API; stopped after the test."""
    with ExitStack() as stack:

        def make(**config: Any) -> tuple[Coordinator, Client]:
            made = CoordinatorConfig.model_validate({"storage": tmp_path / "data", **config})
            coordinator = Coordinator(made, now)
            stack.callback(coordinator.stop)
            coordinator.start()
            listener = stack.enter_context(listen("127.0.0.1", 0))
            http = ServerThread(BoundedServer(create_app(coordinator, made), listener), "http")
            http.start()
            stack.callback(http.join, 5.0)
            stack.callback(http.request_stop)
            return coordinator, stack.enter_context(Client(f"http://127.0.0.1:{listener.getsockname()[1]}"))

        yield make
