"""Polling of coordinators and orchestrators for the status of requests in flight."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping

from bridge.app import clock
from bridge.domain.errors import UnknownRequestError
from bridge.domain.request import RequestRecord
from bridge.domain.times import SECOND, Duration
from bridge.engine.api.commands import EngineCommands
from bridge.engine.engine import Engine
from bridge.net.session import NetError
from bridge.ports import RunFollower, Sink, StatusReport, StatusSource
from bridge.sinks.coordinator import CoordinatorSink

log = logging.getLogger(__name__)

POLL_TIME: Duration = 4 * SECOND  # limit of one round


class StatusPoller:
    """Reads status reports from coordinators and orchestrators, and records them.

    sinks: returns the sinks in use, by destination.
    """

    def __init__(self, engine: Engine, commands: EngineCommands, sinks: Callable[[], Mapping[str, Sink]]) -> None:
        self._engine = engine
        self._commands = commands
        self._sinks = sinks
        self._last = -1

    def poll(self) -> None:
        """Poll the requests in flight for at most POLL_TIME; the next round continues where this one stopped."""
        self._poll_coordinators()
        self._follow_runs()

    def _follow_runs(self) -> None:
        """Follow the runs of every orchestrator, each for at most POLL_TIME."""
        for sink in self._sinks().values():
            if isinstance(sink, RunFollower):
                sink.follow(clock.now, self._record, clock.now() + POLL_TIME)

    def _record(self, report: StatusReport) -> None:
        """Record a report; a request that was pruned has no record any more."""
        with contextlib.suppress(UnknownRequestError):
            self._commands.report_status(report)

    def _poll_coordinators(self) -> None:
        sources = {name: sink for name, sink in self._sinks().items() if isinstance(sink, StatusSource)}
        if not sources:
            return
        due = [
            (record.id, sources[destination])
            for record in self._in_flight()
            for destination in record.destinations
            if destination in sources
        ]
        deadline = clock.now() + POLL_TIME
        for _ in range(len(due)):
            self._last = (self._last + 1) % len(due)
            request_id, source = due[self._last]
            report = source.status(request_id, clock.now())
            if report is not None:
                self._commands.report_status(report)
            if clock.now() > deadline:
                break

    def secrets(self) -> list[str]:
        """Return the secrets that coordinators sign status reports with; log a file that cannot be read."""
        secrets: list[str] = []
        for destination, sink in self._sinks().items():
            if isinstance(sink, CoordinatorSink):
                try:
                    secrets += sink.secrets()
                except NetError as error:
                    log.warning("cannot read a secret", extra={"destination": destination, "error": str(error)})
        return secrets

    def _in_flight(self) -> list[RequestRecord]:
        with self._engine.read() as state:
            return [record for record in state.episode_index.requests.values() if record.state.in_flight]
