"""Polling of coordinators and orchestrators for the status of requests in flight."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping

from bridge.app import clock
from bridge.domain.errors import UnknownRequestError
from bridge.domain.request import RequestRecord
from bridge.domain.times import MINUTE, SECOND, Duration, Timestamp
from bridge.engine.api.commands import EngineCommands
from bridge.engine.engine import Engine
from bridge.net.session import NetError
from bridge.ports import RunFollower, Sink, StatusReport, StatusSource
from bridge.sinks.coordinator import CoordinatorSink

log = logging.getLogger(__name__)

POLL_TIME: Duration = 4 * SECOND  # limit of one round
SHORTEST: Duration = 5 * SECOND  # interval between two polls of a request, unless very many are in flight
EACH: Duration = 3  # interval for every request in flight: 10,000 are polled every 30 s, for 2 % of a core
LONGEST: Duration = 5 * MINUTE


class StatusPoller:
    """Reads status reports from coordinators and orchestrators, and records them.

    sinks: returns the sinks in use, by destination.
    """

    def __init__(self, engine: Engine, commands: EngineCommands, sinks: Callable[[], Mapping[str, Sink]]) -> None:
        self._engine = engine
        self._commands = commands
        self._sinks = sinks
        self._next: dict[str, tuple[Timestamp, Timestamp]] = {}  # next poll, and last change then, by request id
        self._shortest = SHORTEST

    def poll(self) -> None:
        """Poll the requests that are due for at most POLL_TIME; the next round begins with those that are left."""
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
        """Query the requests that are due, the longest due first."""
        sources = {name: sink for name, sink in self._sinks().items() if isinstance(sink, StatusSource)}
        started, records = clock.now(), self._in_flight() if sources else {}
        self._shortest = max(SHORTEST, EACH * len(records))
        self._next = {id_: item for id_, item in self._next.items() if id_ in records}
        due = sorted((self._due_at(record), id_) for id_, record in records.items())
        ids = [id_ for at, id_ in due if at <= started]
        for destination, source in sources.items():
            mine = [id_ for id_ in ids if destination in records[id_].destinations]
            for id_, report in source.statuses(mine, started):
                now = clock.now()
                self._next[id_] = now + self._interval(records[id_], now), records[id_].updated_at
                if report is not None and _has_news(report, records[id_]):
                    self._record(report)
                if now > started + POLL_TIME:
                    return

    def _due_at(self, record: RequestRecord) -> Timestamp:
        """Return when a request is polled next: soon after a change that a call-back reported, else as scheduled."""
        scheduled, changed_at = self._next.get(record.id, (0, record.updated_at))
        return scheduled if record.updated_at == changed_at else record.updated_at + self._shortest

    def _interval(self, record: RequestRecord, now: Timestamp) -> Duration:
        """Return the time between two polls: a tenth of the time since the request changed, within bounds."""
        return min(max((now - record.updated_at) // 10, self._shortest), max(LONGEST, self._shortest))

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

    def _in_flight(self) -> dict[str, RequestRecord]:
        """Return the requests in flight by id."""
        with self._engine.read() as state:
            index = state.episode_index
            return {id_: index.requests[id_] for ids in index.in_flight.values() for id_ in ids}


def _has_news(report: StatusReport, record: RequestRecord) -> bool:
    """Return whether a report says more than the record."""
    return report.state is not record.state or any(
        new and new != known
        for new, known in (
            (report.message, record.message),
            (report.new_version, record.new_version),
            (report.reference, record.reference),
            (report.link, record.link),
        )
    )
