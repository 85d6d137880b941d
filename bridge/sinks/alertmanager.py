"""Sink for Alertmanager's API v2. Each entry is one address with its own queue: list every member of a cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Annotated, ClassVar

import msgspec
from pydantic import AfterValidator

from bridge.domain.destination import ALERTMANAGER
from bridge.domain.times import Timestamp, rfc3339
from bridge.ports import Alert, Delivery, Kind, Notification, Result, request_alerts
from bridge.sinks.base import ApiUrl, ConcurrentSinkConfig, HttpSink, SinkContext

log = logging.getLogger(__name__)

BATCH = 1000
MOST_REMEMBERED = 10_000
# 400: an alert is invalid. 413: too large. 422: the body does not match the API's schema.
_SPLIT = frozenset({400, 413, 422})


def _base(value: str) -> str:
    if value.rstrip("/").endswith(("/api/v2", "/api/v2/alerts", "/api/v1/alerts")):
        raise ValueError("must be Alertmanager's address with its --web.route-prefix, if any, but without /api/...")
    return value


class AlertmanagerConfig(ConcurrentSinkConfig):
    """Entry of `alertmanager_configs`; the path of `url`, if any, is Alertmanager's route prefix."""

    url: Annotated[ApiUrl, AfterValidator(_base)]


class _Posted(msgspec.Struct):
    """Alert as the API expects it, without `endsAt`, which differs in every post."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    startsAt: str  # noqa: N815 - the API's name
    generatorURL: str  # noqa: N815


_encoder = msgspec.json.Encoder()
_instant = lru_cache(maxsize=4096)(rfc3339)
_Identity = tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]


_Encoded = tuple[Alert, bytes]  # an alert, and its JSON up to `endsAt`


def _alike(one: Alert, other: Alert) -> bool:
    """Return whether only `ends_at` can differ; the mappings of an alert are never modified in place."""
    return (
        one.labels is other.labels
        and one.annotations is other.annotations
        and one.starts_at == other.starts_at
        and one.generator_url == other.generator_url
    )


def _beginning(alert: Alert) -> bytes:
    posted = _Posted(alert.labels, alert.annotations, _instant(alert.starts_at), alert.generator_url)
    return _encoder.encode(posted)[:-1]


def _end(alert: Alert) -> bytes:
    return b',"endsAt":"%b"}' % _instant(alert.ends_at).encode()


def _body(alerts: Iterable[_Encoded]) -> bytes:
    return b"[" + b",".join([beginning + _end(alert) for alert, beginning in alerts]) + b"]"


def _identity(alert: Alert) -> _Identity:
    return frozenset(alert.labels.items()), frozenset(alert.annotations.items())


class AlertmanagerSink(HttpSink):
    """Sink that posts alerts; the label `retrain_request_id` makes every request a separate alert."""

    integration = ALERTMANAGER
    Config: ClassVar[type[AlertmanagerConfig]] = AlertmanagerConfig

    def __init__(self, config: AlertmanagerConfig, context: SinkContext) -> None:
        super().__init__(config, context)
        self._context = context
        self._alerts_url = f"{self._url}/api/v2/alerts"
        self._refused: set[_Identity] = set()
        self._posted: dict[int, _Encoded] = {}  # alerts of the last post, by the id() of their labels

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Post the request's alert; any 2xx counts as delivered, since the response has no body."""
        return self.send_group([notification], {}, now)

    def send_group(self, notifications: Sequence[Notification], group: Mapping[str, str], now: Timestamp) -> Delivery:
        """Post the alerts of several requests in one call."""
        return self.post(
            self._alerts_url, _body([self._encoded(notification, now) for notification in notifications]), {}, now
        )[0]

    def _encoded(self, notification: Notification, now: Timestamp) -> _Encoded:
        # A request that is delivered late must fire for a while too, or nobody would be notified.
        ends_at = notification.ends_at if notification.kind is Kind.RESOLVED else now + self._context.resolve_after
        alert = request_alerts.requested(
            notification.request,
            self._context.sender,
            starts_at=notification.starts_at,
            ends_at=max(ends_at, notification.starts_at),
        )
        return alert, _beginning(alert)

    def post_alerts(self, alerts: Iterable[Alert], now: Timestamp) -> Delivery:
        """Post alerts in batches. An alert that Alertmanager refuses is logged once and omitted from later posts.

        Stops at the first attempt that fails for another reason, and returns its outcome. Alerts after the failed batch
        are not read: while Alertmanager is down, 100,000 would take 200 MB.
        """
        before, self._posted = self._posted, {}
        wanted = iter(alerts)
        if self._refused:
            wanted = (alert for alert in wanted if _identity(alert) not in self._refused)
        delivery = Delivery(Result.DELIVERED)
        while delivery.result is Result.DELIVERED and (batch := list(islice(wanted, BATCH))):
            delivery = self._post_batch(self._encode(batch, before), now)
        return delivery

    def _encode(self, alerts: Sequence[Alert], before: Mapping[int, _Encoded]) -> list[_Encoded]:
        """Return the encoded alerts; one that `before`, the last post, contained with the same mappings is reused."""
        encoded: list[_Encoded] = []
        for alert in alerts:
            last = before.get(id(alert.labels))
            beginning = last[1] if last is not None and _alike(last[0], alert) else _beginning(alert)
            encoded.append((alert, beginning))
            self._posted[id(alert.labels)] = encoded[-1]
        return encoded

    def _post_batch(self, alerts: Sequence[_Encoded], now: Timestamp) -> Delivery:
        delivery = self.post(self._alerts_url, _body(alerts), {}, now)[0]
        if delivery.status not in _SPLIT:
            return delivery
        if len(alerts) == 1:
            self._refuse(alerts[0][0], delivery)
            return Delivery(Result.DELIVERED, status=delivery.status, answer=delivery.answer)
        # A refused batch may or may not have stored its valid alerts: halve it until only the bad ones are left out.
        half = len(alerts) // 2
        first = self._post_batch(alerts[:half], now)
        return self._post_batch(alerts[half:], now) if first.result is Result.DELIVERED else first

    def _refuse(self, alert: Alert, delivery: Delivery) -> None:
        if len(self._refused) >= MOST_REMEMBERED:
            self._refused.clear()
        self._refused.add(_identity(alert))
        fields = {"labels": dict(alert.labels), "status": delivery.status, "answer": delivery.answer}
        log.error("Alertmanager refuses an alert", extra={"receiver": self._context.receiver, **fields})
