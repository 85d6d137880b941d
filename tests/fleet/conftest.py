"""Prometheus and a receiver for a fleet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bridge import REMOTE_WRITE
from tests.support.keyed import KeyedReceiver
from tests.support.servers import Prometheus, prometheus


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


@pytest.fixture
def webhook() -> Iterator[KeyedReceiver]:
    with KeyedReceiver() as receiver:
        yield receiver
