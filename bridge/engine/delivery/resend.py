"""Resending of open alerts to one Alertmanager, which keeps alerts in memory only.

The first post of a request goes through the outbox. Resends follow while its episode is open, so that the alert neither
expires nor is lost when Alertmanager restarts, and for a while after its end as resolved. They are not outbox rows: the
next resend makes up for a lost one.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, starmap
from typing import Protocol

from bridge.domain.request import HoldReason, RetrainRequest
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import MINUTE, Duration, Timestamp
from bridge.engine.delivery import breaker as circuit
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.ports import Alert, AlertSink, AttemptReport, Breaker, Delivery, Outbox, Result, request_alerts
from bridge.ports.request_alerts import FiringAlert, Sender

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """Request to resend as an alert. Instants in ms, 0 = has not happened.

    starts_at: start of the episode.
    ends_at: end of the episode, 0 = open.
    delivered_at: first delivery of the request.
    interval: evaluation interval of the leading rule's group.
    held: the gate that holds the request, None = sent.
    held_until: expected end of the hold, 0 = unknown.
    annotations: annotations of the rule with present values, None = those of the request.
    group: group of the leading rule.
    link: URL of the run, "" = unknown.
    shared_cause: the shared cause that holds it.
    released_at: when it stopped being held, because it was sent or closed; 0 = it is held, or never was.
    """

    request: RetrainRequest
    starts_at: Timestamp
    ends_at: Timestamp = 0
    delivered_at: Timestamp = 0
    interval: Duration = 0
    held: HoldReason | None = None
    held_until: Timestamp = 0
    annotations: Mapping[str, str] | None = None
    group: str = ""
    link: str = ""
    shared_cause: SharedCause | None = None
    released_at: Timestamp = 0


class OpenAlerts(Protocol):
    """Source of open alerts by destination ("receiver/integration/index"), called from the resender's thread."""

    def open_alerts(self, destination: str, ended_since: Timestamp) -> Sequence[OpenAlert]:
        """Return the requests routed to `destination` whose episode is open or ended since `ended_since`.

        They are held, were sent, or were closed while they were held. An entry that has not changed is the same object
        as in the previous call.
        """
        ...

    def notices(self, destination: str) -> Sequence[FiringAlert]:
        """Return firing `alert:` rules routed to `destination`."""
        ...

    def generation(self) -> int:
        """Return a number that changes when alerts should be sent before the next resend is due."""
        ...


@dataclass(frozen=True, slots=True)
class ResendSettings:
    """Settings of resending. Durations in ms.

    resend_delay: time between two resends.
    resolved_for: how long the end of an episode is repeated.
    settle: how long an alert stays firing after the delivery of its request, even if its episode has ended:
        Alertmanager sends no notification for an alert that is resolved within its group_wait.
    """

    resend_delay: Duration = MINUTE
    resolved_for: Duration = 15 * MINUTE
    settle: Duration = 2 * MINUTE


class Resender:
    """Resending worker of one Alertmanager destination, for one thread.

    It shares the circuit breaker with the destination's courier.

    report: called after every resend, with an empty request id.
    """

    def __init__(
        self,
        destination: str,
        sink: AlertSink,
        alerts: OpenAlerts,
        outbox: Outbox,
        sender: Sender,
        settings: DeliverySettings,
        refresh: ResendSettings,
        rng: random.Random,
        report: Callable[[AttemptReport], None] = lambda _: None,
    ) -> None:
        self.destination = destination
        self._sink = sink
        self._alerts = alerts
        self._outbox = outbox
        self._sender = sender
        self._settings = settings
        self._refresh = refresh
        self._rng = rng
        self._report = report
        self._next_at: Timestamp = 0
        self._generation = 0
        self._made: dict[str, tuple[OpenAlert, Alert]] = {}
        self._passing: dict[frozenset[tuple[str, str]], Alert] = {}
        self._passed: dict[frozenset[tuple[str, str]], Alert] | None = None  # None until the first step
        self._denied = False
        self._logged = "ok"

    def step(self, now: Callable[[], Timestamp]) -> Timestamp:
        """Resend the open alerts if due, and return the instant of the next work. Raises StoreError."""
        started, generation = now(), self._alerts.generation()
        if started < self._next_at and generation == self._generation:
            return self._next_at
        breaker = self._outbox.breaker(self.destination)
        blocked = circuit.blocked_until(breaker, started)
        if blocked:
            return blocked
        count, alerts = self.due(started)
        self._next_at, self._generation = started + self._refresh.resend_delay, generation
        if count:
            self._post(count, alerts, breaker, now)
        return self._next_at

    def finish(self, now: Callable[[], Timestamp]) -> None:
        """Do nothing: a step leaves no work in progress."""

    def due(self, now: Timestamp) -> tuple[int, Iterator[Alert]]:
        """Return number and alerts to post at `now`: open and held requests, firing `alert:` rules, and ended ones.

        The alerts of requests are made as they are read: most are not needed while Alertmanager is down.
        """
        known = self._alerts.open_alerts(self.destination, now - self._refresh.resolved_for - self._refresh.settle)
        held = [item for item in known if item.held is not None]
        requested = [(item, end) for item in known if item.held is None and (end := self._end(item, now))]
        made = ((item.request.id, self._made.get(item.request.id)) for item, _ in requested)
        self._made = {id_: last for id_, last in made if last is not None}
        if self._passed is None:
            self._passed = self._released(known)
        passing = [*self._held_alerts(held, now), *self._notices(now)]
        others = [*passing, *self._ended(passing, now)]
        return len(requested) + len(others), chain(starmap(self._requested, requested), others)

    def _released(self, known: Sequence[OpenAlert]) -> dict[frozenset[tuple[str, str]], Alert]:
        """Return the resolved alerts of requests that were held: another resender may have posted them as open."""
        alerts = (
            alert
            for item in known
            if item.released_at
            for alert in request_alerts.released(
                item.request, self._sender, starts_at=item.starts_at, ends_at=item.released_at
            )
        )
        return {_identity(alert): alert for alert in alerts}

    def _ended(self, passing: Sequence[Alert], now: Timestamp) -> list[Alert]:
        """Return the resolved alerts that were posted before, for as long as their end is repeated."""
        present, passed = {_identity(alert): alert for alert in passing}, self._passed or {}
        for identity, alert in self._passing.items():
            if identity not in present:
                passed[identity] = replace(alert, ends_at=now)
        since = now - self._refresh.resolved_for
        self._passed = {
            identity: alert for identity, alert in passed.items() if alert.ends_at >= since and identity not in present
        }
        self._passing = present
        return list(self._passed.values())

    def _held_alerts(self, held: Sequence[OpenAlert], now: Timestamp) -> list[Alert]:
        """Return an alert for each held request, one for each storm, and one for each shared cause.

        A request that waits for its model's siblings has none: a storm of alerts would precede that of the cause.
        """
        storms: dict[str, list[OpenAlert]] = {}
        causes: dict[tuple[str, str], list[OpenAlert]] = {}
        alerts: list[Alert] = []
        for item in held:
            if item.held is HoldReason.STORM:
                storms.setdefault(item.group, []).append(item)
            elif item.held is HoldReason.NOT_THE_MODEL and item.shared_cause is not None:
                causes.setdefault(item.shared_cause.key, []).append(item)
            elif item.held is not HoldReason.WEIGHING:
                alerts.append(self._held_alert(item, self._open_until(item.interval, now)))
        for group, items in storms.items():
            starts_at, until, ends_at = self._together(items, now)
            alerts.append(
                request_alerts.storm(group, len(items), self._sender, until=until, starts_at=starts_at, ends_at=ends_at)
            )
        for items in causes.values():
            starts_at, until, ends_at = self._together(items, now)
            largest = max((item.shared_cause for item in items if item.shared_cause), key=lambda cause: cause.breached)
            alerts.append(
                request_alerts.shared_cause(
                    largest, len(items), self._sender, until=until, starts_at=starts_at, ends_at=ends_at
                )
            )
        return alerts

    def _together(self, items: Sequence[OpenAlert], now: Timestamp) -> tuple[Timestamp, Timestamp, Timestamp]:
        """Return start, expected end of the hold, and `endsAt` of one alert for several held requests."""
        first = min(items, key=lambda item: item.starts_at)
        until = max(item.held_until for item in items)
        return first.starts_at, until, self._open_until(first.interval, now)

    def _notices(self, now: Timestamp) -> list[Alert]:
        return [
            request_alerts.rule_alert(item, self._sender, ends_at=self._open_until(item.interval, now))
            for item in self._alerts.notices(self.destination)
        ]

    def _open_until(self, interval: Duration, now: Timestamp) -> Timestamp:
        return now + request_alerts.alert_lifetime(max(interval, self._refresh.resend_delay))

    def _end(self, item: OpenAlert, now: Timestamp) -> Timestamp:
        """Return `endsAt` of the request's alert; 0 = it has none."""
        open_until = self._open_until(item.interval, now)
        if not item.ends_at:
            return open_until
        if not item.delivered_at:
            return 0  # its first post is still due, and must be firing
        ends_at = max(item.ends_at, item.delivered_at + self._refresh.settle)
        if now > ends_at + self._refresh.resolved_for:
            return 0
        return open_until if now < ends_at else ends_at

    def _requested(self, item: OpenAlert, ends_at: Timestamp) -> Alert:
        """Return the request's alert: the previous one with a new end, or a new one if anything has changed."""
        request, known = item.request, self._made.get(item.request.id)
        if known is not None and known[0] is item:
            last = known[1]
            return Alert(last.labels, last.annotations, last.starts_at, ends_at, last.generator_url)
        alert = request_alerts.requested(
            request, self._sender, starts_at=item.starts_at, ends_at=ends_at, annotations=item.annotations,
            link=item.link, labels=known[1].labels if known is not None and known[0].request is request else None,
        )  # fmt: skip
        self._made[request.id] = item, alert
        return alert

    def _held_alert(self, item: OpenAlert, ends_at: Timestamp) -> Alert:
        reason = item.held or HoldReason.COOLDOWN
        return request_alerts.held(
            item.request,
            self._sender,
            reason=reason,
            until=item.held_until,
            starts_at=item.starts_at,
            ends_at=ends_at,
            annotations=item.annotations,
        )

    def _post(self, count: int, alerts: Iterable[Alert], breaker: Breaker, now: Callable[[], Timestamp]) -> None:
        started = now()
        try:
            delivery = self._sink.post_alerts(alerts, started)
        except Exception as error:  # a defect in a sink must not stop the resends of all requests
            log.exception("sink failed", extra={"destination": self.destination})
            delivery = Delivery(Result.RETRY, "internal", answer=type(error).__name__)
        ended = now()
        after = circuit.after(
            breaker,
            delivery,
            self._settings,
            self._rng,
            started=started,
            ended=ended,
            denied_again=self._denied,
        )
        self._denied = delivery.result is Result.DENIED
        circuit.save(self._outbox, breaker, after, ended)
        if delivery.result is not Result.DELIVERED:
            self._next_at = min(self._next_at, ended + self._settings.probe)
        self._log(delivery, count)
        self._report(AttemptReport(self.destination, delivery, (ended - started) / 1000, dead=False, request_id=""))

    def _log(self, delivery: Delivery, count: int) -> None:
        previous, self._logged = self._logged, delivery.reason
        if previous == self._logged:
            return
        fields = {"destination": self.destination, "alerts": count, "reason": delivery.reason}
        if delivery.result is Result.DELIVERED:
            log.info("open alerts are accepted again", extra=fields)
        else:
            log.warning("open alerts were not accepted", extra={**fields, "answer": delivery.answer})


def _identity(alert: Alert) -> frozenset[tuple[str, str]]:
    """Return the labels as a key: in Alertmanager, they are the alert's identity."""
    return frozenset(alert.labels.items())
