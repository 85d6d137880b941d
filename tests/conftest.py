"""Settings of all tests."""

from __future__ import annotations

import logging

import pytest
from hypothesis import settings

# A busy machine makes a slow example, not a wrong one. A failure prints how to see it again.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first: otherwise a parallel run ends with one worker that is busy for minutes."""
    items.sort(key=lambda item: "crash" not in item.path.parts)


def pytest_runtest_teardown() -> None:
    """Undo the logging that a test has set up; the next one would log to a stream that is closed."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in [handler for handler in root.handlers if type(handler).__module__.startswith("bridge.")]:
        root.removeHandler(handler)
