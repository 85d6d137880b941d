"""A browser for each module; it ends with it, because its event loop must not run below other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import chromium
from tests.support.web import Site, serving

expect.set_options(timeout=30_000)  # ms; of real servers a step may take a while


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found
