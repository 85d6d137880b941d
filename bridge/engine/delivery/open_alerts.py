"""Open alerts of the running engine: the implementation of resend.OpenAlerts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.domain.request import Episode, HoldReason, RequestRecord
from bridge.domain.rule import Mode
from bridge.domain.times import Duration, Timestamp
from bridge.engine.access import EngineState, EpisodeIndexView
from bridge.engine.delivery.alert_rules import firing
from bridge.engine.delivery.resend import OpenAlert
from bridge.engine.engine import Engine
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.requests.gates import Routing, route_labels
from bridge.ports.request_alerts import FiringAlert


@dataclass(frozen=True, slots=True)
class _Cached:
    """Alert of an open request with its input; it is reused while the input is the same."""

    alert: OpenAlert
    record: RequestRecord
    episode: Episode
    run: RuleEvaluator
    row: int
    series: Mapping[str, str] | None
    value: float
    threshold: float

    def valid(self, record: RequestRecord, run: RuleEvaluator | None) -> bool:
        """Return True if the request, the rule and the values are unchanged; the caller checks the episode."""
        return (
            self.record is record
            and self.run is run
            and self.series is run.texts.series.get(self.row)
            and _same(self.value, run.staged.value.item(self.row))
            and _same(self.threshold, run.staged.threshold.item(self.row))
        )


class OpenAlertIndex:
    """Index of open, held and recently ended requests by destination, with present values in the annotations."""

    def __init__(self, engine: Engine, routing: Routing) -> None:
        self._engine = engine
        self._routing = routing
        self._cache: dict[str, dict[str, _Cached]] = {}

    def open_alerts(self, destination: str, ended_since: Timestamp) -> Sequence[OpenAlert]:
        """Return the open alerts of a destination; an unchanged one is the same object as before."""
        with self._engine.read() as state:
            return self._alerts(state, destination, ended_since)

    def _alerts(self, state: EngineState, destination: str, ended_since: Timestamp) -> list[OpenAlert]:
        index, runs = state.episode_index, state.rules
        intervals = {rule.name: item.group.interval for item in state.groups.values() for rule in item.group.rules}
        open_now = set(map(id, index.episodes.values()))
        before, cache = self._cache.get(destination, {}), dict[str, _Cached]()
        alerts: list[OpenAlert] = []
        for id_, record in index.requests.items():
            last = before.get(id_)
            if last is not None and id(last.episode) in open_now and last.valid(record, runs.get(record.request.rule)):
                cache[id_] = last
                alerts.append(last.alert)
                continue
            episode = _episode(index, record, ended_since)
            if episode is not None and self._goes_to(runs, record, destination):
                rule = record.request.rule
                alerts.append(_alert(index, record, episode, runs.get(rule), intervals.get(rule, 0), cache))
        self._cache[destination] = cache
        return alerts

    def notices(self, destination: str) -> Sequence[FiringAlert]:
        """Return firing `alert:` rules routed to `destination`."""
        with self._engine.read() as state:
            alerts = [
                item
                for group in state.groups.values()
                for run in group.runs
                if run.notifies
                for item in firing(run, group.group.interval)
            ]
        return [item for item in alerts if destination in self._routing.recipients(item.labels).destinations]

    def generation(self) -> int:
        """Return a number that changes when alerts should be sent before the next resend is due."""
        return self._engine.generation

    def _goes_to(self, runs: Mapping[str, RuleEvaluator], record: RequestRecord, destination: str) -> bool:
        if not record.sent_at:
            run = runs.get(record.request.rule)
            if run is not None and run.rule.mode is not Mode.LIVE:
                return False
            held = record.state.waiting or record.released_at > 0
            return held and destination in self._routing.recipients(route_labels(record.request)).destinations
        return destination in record.destinations


def _episode(index: EpisodeIndexView, record: RequestRecord, ended_since: Timestamp) -> Episode | None:
    """Return the episode of the request while it is open or ended since `ended_since`."""
    request = record.request
    episode = index.episodes.get(request.model)
    if episode is None or episode.started_at != request.episode_start:
        episode = index.ended.get((request.model, request.episode_start))
    return None if episode is None or 0 < episode.ended_at < ended_since else episode


def _alert(
    index: EpisodeIndexView,
    record: RequestRecord,
    episode: Episode,
    run: RuleEvaluator | None,
    interval: Duration,
    cache: dict[str, _Cached],
) -> OpenAlert:
    request = record.request
    row = None if run is None else run.table.find(request.model)
    annotations = None
    if run is not None and row is not None and not episode.ended_at and run.rule.annotations:
        unknown = math.isnan(run.staged.value.item(row))  # no sample since a start: the request's annotations
        annotations = None if unknown else run.alert_annotations(row)
    held = record.hold if record.state.waiting else None
    # A newer attempt of the same episode has its own alert; the older alert ends with its request.
    newest = index.current.get(request.model) == record.id and (record.sent_at or held)
    ends_at = episode.ended_at or (0 if newest else record.ended_at)
    alert = OpenAlert(
        request,
        request.episode_start,
        ends_at,
        record.delivered_at,
        interval,
        held,
        record.hold_until,
        annotations,
        "" if run is None else run.rule.group,
        record.link,
        record.shared_cause if record.hold is HoldReason.NOT_THE_MODEL else None,
        record.released_at,
    )
    lasting = not (record.state.waiting or record.ended_at or episode.ended_at)
    if lasting and run is not None and row is not None:
        value, threshold = run.staged.value.item(row), run.staged.threshold.item(row)
        cache[record.id] = _Cached(alert, record, episode, run, row, run.texts.series.get(row), value, threshold)
    return alert


def _same(one: float, other: float) -> bool:
    """Return True if equal or both NaN: an `expr` rule has no threshold."""
    return one == other or (one != one and other != other)  # noqa: PLR0124 - the test for NaN
