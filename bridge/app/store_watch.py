"""Health of the store, its effect on readiness, and retention."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from bridge.app import clock
from bridge.app.telemetry import Telemetry
from bridge.domain.errors import StoreBusyError, StoreError
from bridge.domain.times import Duration
from bridge.engine.engine import Engine
from bridge.ports import Store

log = logging.getLogger(__name__)

_PREFIX = "the store cannot be written: "


@dataclass(slots=True)
class Readiness:
    """Readiness of the bridge. problem: why it is not ready, "" when it is."""

    problem: str = "starting"


class StoreWatch:
    """Watches the store, and sets the bridge unready while it cannot be used.

    taken: called when another bridge has the database.
    """

    def __init__(
        self, store: Store, engine: Engine, telemetry: Telemetry, readiness: Readiness, taken: Callable[[], None]
    ) -> None:
        self._store = store
        self._engine = engine
        self._telemetry = telemetry
        self._readiness = readiness
        self._taken = taken

    def check(self) -> None:
        """Verify that the database is ours and writable; reload the state if a write had an unknown outcome."""
        try:
            self._engine.recover(clock.now())  # first: until then a store that has lost commits accepts no write
            self._store.check()
        except StoreError as error:
            self.failed(error)
        else:
            self.succeeded()

    def failed(self, error: StoreError) -> None:
        """Record that the store could not be used."""
        self._telemetry.store(works=False)
        readiness, problem = self._readiness, f"{_PREFIX}{error}"
        if readiness.problem != problem and (not readiness.problem or readiness.problem.startswith(_PREFIX)):
            log.error("the store cannot be used", extra={"error": str(error)})
            readiness.problem = problem
        if isinstance(error, StoreBusyError):
            log.critical("another bridge uses the database; exiting", extra={"error": str(error)})
            self._taken()

    def succeeded(self) -> None:
        """Record that the store was used."""
        self._telemetry.store(works=True)
        if self._readiness.problem.startswith(_PREFIX):
            self._readiness.problem = ""
            log.info("the store is usable again")

    def prune(self, retention: Duration) -> None:
        """Delete rows that are older than `retention` ms."""
        rows = self._store.prune(clock.now() - retention)
        log.info("pruned", extra={"rows": rows})
