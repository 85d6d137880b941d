"""What Alertmanagers must be reminded of, read from the running engine: the other side of resend.OpenAlerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.domain.request import Episode, RequestRecord
from bridge.domain.rule import Mode
from bridge.domain.times import Duration, Timestamp
from bridge.engine.delivery.alert_rules import firing
from bridge.engine.delivery.resend import OpenAlert
from bridge.engine.engine import Engine
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.requests.gates import Routing, route_labels
from bridge.ports.request_alerts import FiringAlert


@dataclass(frozen=True, slots=True)
class _Told:
    """What was last said of an open request, and all that it was made of: it is said again while that is the same."""

    alert: OpenAlert
    record: RequestRecord
    episode: Episode
    run: RuleEvaluator
    slot: int
    series: Mapping[str, str] | None
    value: float
    threshold: float

    def stands(self, record: RequestRecord, run: RuleEvaluator | None) -> bool:
        """Whether nothing of the request, the rule or the numbers has changed; the episode is up to the caller."""
        return (
            self.record is record
            and self.run is run
            and self.series is run.series.get(self.slot)
            and _same(self.value, run.staged.value.item(self.slot))
            and _same(self.threshold, run.staged.threshold.item(self.slot))
        )


class OpenAlertIndex:
    """Open, held and lately ended requests by destination; annotations carry the present numbers."""

    def __init__(self, engine: Engine, routing: Routing) -> None:
        self._engine = engine
        self._routing = routing
        self._told: dict[str, dict[str, _Told]] = {}

    def open_alerts(self, destination: str, ended_since: Timestamp) -> Sequence[OpenAlert]:
        """As resend.OpenAlerts asks for it. What has not changed is the same object as the last time."""
        with self._engine.lock:
            return self._alerts(destination, ended_since)

    def _alerts(self, destination: str, ended_since: Timestamp) -> list[OpenAlert]:
        book, runs = self._engine.book, self._engine.runs()
        intervals = {
            rule.name: item.group.interval for item in self._engine.groups.values() for rule in item.group.rules
        }
        open_now = set(map(id, book.episodes.values()))
        before, told = self._told.get(destination, {}), dict[str, _Told]()
        found: list[OpenAlert] = []
        for id_, record in book.requests.items():
            last = before.get(id_)
            if last is not None and id(last.episode) in open_now and last.stands(record, runs.get(record.request.rule)):
                told[id_] = last
                found.append(last.alert)
                continue
            episode = self._episode(record, ended_since)
            if episode is not None and self._goes_to(record, destination):
                rule = record.request.rule
                found.append(self._alert(record, episode, runs.get(rule), intervals.get(rule, 0), told))
        self._told[destination] = told
        return found

    def _episode(self, record: RequestRecord, ended_since: Timestamp) -> Episode | None:
        """The episode that the request was made for, while it is open or has ended lately."""
        request, book = record.request, self._engine.book
        episode = book.episodes.get(request.model)
        if episode is None or episode.started_at != request.episode_start:
            episode = book.ended.get((request.model, request.episode_start))
        return None if episode is None or 0 < episode.ended_at < ended_since else episode

    def _alert(
        self,
        record: RequestRecord,
        episode: Episode,
        run: RuleEvaluator | None,
        interval: Duration,
        told: dict[str, _Told],
    ) -> OpenAlert:
        request = record.request
        slot = None if run is None else run.table.find(request.model)
        texts = None
        if run is not None and slot is not None and not episode.ended_at and run.annotations:
            texts = run.rendered(slot)
        held = record.hold if record.state.waiting else None
        # A newer attempt of the same episode has its own alert: the older one ends with its request.
        newest = self._engine.book.current.get(request.model) == record.id
        ends_at = episode.ended_at or (0 if newest else record.ended_at)
        alert = OpenAlert(
            request, request.episode_start, ends_at, record.delivered_at, interval,
            held, record.hold_until, texts, "" if run is None else run.rule.group,
        )  # fmt: skip
        lasting = not (record.state.waiting or record.ended_at or episode.ended_at)
        if lasting and run is not None and slot is not None:
            value, threshold = run.staged.value.item(slot), run.staged.threshold.item(slot)
            told[record.id] = _Told(alert, record, episode, run, slot, run.series.get(slot), value, threshold)
        return alert

    def notices(self, destination: str) -> Sequence[FiringAlert]:
        """As resend.OpenAlerts asks for it."""
        with self._engine.lock:
            found = [
                item
                for group in self._engine.groups.values()
                for run in group.runs
                if run.notifies
                for item in firing(run, group.group.interval)
            ]
        return [item for item in found if destination in self._routing.way(item.labels).destinations]

    def generation(self) -> int:
        """As resend.OpenAlerts asks for it."""
        return self._engine.generation

    def _goes_to(self, record: RequestRecord, destination: str) -> bool:
        if record.state.waiting:
            run = self._engine.runs().get(record.request.rule)
            if run is not None and run.rule.mode is not Mode.LIVE:
                return False
            return destination in self._routing.way(route_labels(record.request)).destinations
        return bool(record.sent_at) and destination in record.destinations


def _same(one: float, other: float) -> bool:
    """Equal, or both NaN: an `expr` rule has no threshold."""
    return one == other or (one != one and other != other)  # noqa: PLR0124 - the test for NaN
