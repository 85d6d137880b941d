"""Settings of all tests."""

from __future__ import annotations

import logging

import pytest
import requests
from hypothesis import HealthCheck, settings
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse

from bridge.net.adapter import Adapter

# A busy machine makes a slow example, not a wrong one. A failure prints how to see it again.
settings.register_profile("project", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


_send, _exchange = HTTPAdapter.send, Adapter.exchange


def _exchange_or_mock(
    self: Adapter, request: requests.PreparedRequest, server: str, target: str, deadline: float
) -> BaseHTTPResponse:
    """Send a request through requests while `responses` mocks it; otherwise as always."""
    if HTTPAdapter.send is _send:
        return _exchange(self, request, server, target, deadline)
    raw: BaseHTTPResponse = self.send(request, stream=True, timeout=deadline).raw
    return raw


Adapter.exchange = _exchange_or_mock  # type: ignore[method-assign]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first: otherwise a parallel run ends with one worker that is busy for minutes."""
    items.sort(key=lambda item: "crash" not in item.path.parts)


def pytest_runtest_teardown() -> None:
    """Undo the logging that a test has set up; the next one would log to a stream that is closed."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in [handler for handler in root.handlers if type(handler).__module__.startswith("bridge.")]:
        root.removeHandler(handler)
