"""Effect of the store's health on readiness."""

from __future__ import annotations

import pytest

from bridge.app.store_watch import Readiness, StoreWatch
from bridge.domain.errors import StoreBusyError, StoreError
from tests.support.world import World, group, rule


class Reports:
    """Telemetry that keeps the reported health of the store."""

    def __init__(self) -> None:
        self.works: list[bool] = []

    def store(self, *, works: bool) -> None:
        self.works.append(works)


class Desk:
    """A watch over the store of a world."""

    def __init__(self, problem: str = "") -> None:
        self.readiness, self.reports, self.taken = Readiness(problem), Reports(), 0
        world = World(group(rule()))
        self.watch = StoreWatch(world.store, world.engine, self.reports, self.readiness, self._take)  # type: ignore[arg-type]

    def _take(self) -> None:
        self.taken += 1


def test_a_store_that_fails_makes_the_bridge_unready_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    """Logged once for each change."""
    desk = Desk()
    for _ in range(2):
        desk.watch.failed(StoreError("disk full"))
    assert desk.readiness.problem == "the store cannot be written: disk full"
    desk.watch.check()
    assert desk.readiness.problem == ""
    assert desk.reports.works == [False, False, True]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["the store cannot be used"]


def test_another_reason_to_be_unready_stays() -> None:
    """A bridge that is stopping does not become ready again."""
    desk = Desk("stopping")
    desk.watch.failed(StoreError("disk full"))
    desk.watch.succeeded()
    assert desk.readiness.problem == "stopping"


def test_a_database_of_another_bridge_ends_this_one() -> None:
    """taken is called."""
    desk = Desk()
    desk.watch.failed(StoreBusyError("locked"))
    assert desk.taken == 1
