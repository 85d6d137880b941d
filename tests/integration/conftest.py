"""Servers that a test has for itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bridge import REMOTE_WRITE
from tests.support.servers import Alertmanager, Prometheus, alertmanager, prometheus


@pytest.fixture
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


@pytest.fixture
def alerts() -> Iterator[Alertmanager]:
    with alertmanager() as server:
        yield server
