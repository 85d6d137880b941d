"""What Alertmanagers must be reminded of, read from the running engine: the other side of refresh.OpenAlerts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.domain.request import Episode, RequestRecord
from bridge.domain.rule import Mode
from bridge.domain.times import Timestamp
from bridge.engine.gatekeeping import Routing, route_labels
from bridge.engine.notices import Notice, firing, tells
from bridge.engine.refresh import OpenAlert
from bridge.engine.tick import Engine


class Reminders:
    """Open, held and lately ended requests by destination; annotations carry the present numbers."""

    def __init__(self, engine: Engine, routing: Routing) -> None:
        self._engine = engine
        self._routing = routing

    def open_alerts(self, destination: str, ended_since: Timestamp) -> Sequence[OpenAlert]:
        """As refresh.OpenAlerts asks for it."""
        with self._engine.lock:
            return list(self._alerts(destination, ended_since))

    def _alerts(self, destination: str, ended_since: Timestamp) -> Iterator[OpenAlert]:
        book = self._engine.book
        runs = self._engine.runs()
        intervals = {rule.name: run.group.interval for run in self._engine.groups.values() for rule in run.group.rules}
        episodes = (*book.episodes.values(), *book.ended.values())
        wanted = {(item.model, item.started_at): item for item in episodes if not _over(item, ended_since)}
        for record in book.requests.values():
            request = record.request
            episode = wanted.get((request.model, request.episode_start))
            if episode is None or not self._goes_to(record, destination):
                continue
            run = runs.get(request.rule)
            slot = None if run is None else run.table.find(request.model)
            texts = None
            if run is not None and slot is not None and not episode.ended_at and run.annotations:
                texts = run.rendered(slot)
            held = record.hold if record.state.waiting else None
            # A newer attempt of the same episode has its own alert: the older one ends with its request.
            ends_at = episode.ended_at or (record.ended_at if book.current.get(request.model) != record.id else 0)
            yield OpenAlert(
                request, request.episode_start, ends_at, record.delivered_at, intervals.get(request.rule, 0),
                held, record.hold_until, texts, "" if run is None else run.rule.group,
            )  # fmt: skip

    def notices(self, destination: str) -> Sequence[Notice]:
        """As refresh.OpenAlerts asks for it."""
        with self._engine.lock:
            found = [
                item
                for group in self._engine.groups.values()
                for run in group.runs
                if tells(run)
                for item in firing(run, group.group.interval)
            ]
        return [item for item in found if destination in self._routing.way(item.labels).destinations]

    def generation(self) -> int:
        """As refresh.OpenAlerts asks for it."""
        return self._engine.generation

    def _goes_to(self, record: RequestRecord, destination: str) -> bool:
        if record.state.waiting:
            run = self._engine.runs().get(record.request.rule)
            if run is not None and run.rule.mode is not Mode.LIVE:
                return False
            return destination in self._routing.way(route_labels(record.request)).destinations
        return bool(record.sent_at) and destination in record.destinations


def _over(episode: Episode, ended_since: Timestamp) -> bool:
    return 0 < episode.ended_at < ended_since
