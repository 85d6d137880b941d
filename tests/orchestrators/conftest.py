"""Fixtures of the tests with real orchestrators."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import pytest

from tests.orchestrators.front import Front
from tests.orchestrators.kinds import KINDS
from tests.orchestrators.servers import Orchestrator
from tests.orchestrators.world import World, world


def pytest_configure() -> None:
    """End all servers when the run is ended; in the background of a shell, Ctrl-C would be ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the orchestrator beside a failure."""
    report = yield
    found = getattr(item, "funcargs", {}).get("here")
    if report.failed and isinstance(found, World):
        report.sections.append(("the orchestrator", found.orchestrator.logs()))
    return report


@pytest.fixture(scope="session", params=KINDS, ids=[kind.name for kind in KINDS])
def here(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Each orchestrator in turn: all tests of one run before the next one starts."""
    kind: type[Orchestrator] = request.param
    with world(kind, tmp_path_factory.mktemp(kind.name)) as found:
        yield found


@pytest.fixture(scope="module")
def waiting(here: World) -> Iterator[World]:
    """An orchestrator that starts none of its queued runs."""
    here.orchestrator.pause(paused=True)
    yield here
    here.orchestrator.pause(paused=False)


@pytest.fixture
def stub(waiting: World) -> Iterator[Front]:
    """A front of its own for each test of the stubs' suite; the runs are deleted afterwards."""
    with Front(waiting.orchestrator, patient=True) as front:
        yield front
        front.runs.clear()
