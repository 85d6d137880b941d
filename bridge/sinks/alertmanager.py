"""Alertmanager, API v2: one entry is one address with its own queue, so a cluster's members are all listed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar

import msgspec
from pydantic import AfterValidator

from bridge.domain.times import Timestamp, rfc3339
from bridge.ports import Alert, Delivery, Kind, Notification, Result, request_alerts
from bridge.sinks.base import ApiUrl, HttpSink, HttpSinkConfig, SinkContext

log = logging.getLogger(__name__)

BATCH = 1000
MOST_REMEMBERED = 10_000
# 400: an alert is invalid. 413: too much at once. 422: a body that the API's schema refuses.
_SPLIT = frozenset({400, 413, 422})


def _base(value: str) -> str:
    if value.rstrip("/").endswith(("/api/v2", "/api/v2/alerts", "/api/v1/alerts")):
        raise ValueError("must be Alertmanager's address, with its --web.route-prefix if any, without /api/...")
    return value


class AlertmanagerConfig(HttpSinkConfig):
    """An entry of `alertmanager_configs`; the path of `url` is Alertmanager's route prefix."""

    url: Annotated[ApiUrl, AfterValidator(_base)]


class _Posted(msgspec.Struct):
    """An alert as the API takes it, all but its end, which is another one at every post."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    startsAt: str  # noqa: N815 - the API's name
    generatorURL: str  # noqa: N815


_encoder = msgspec.json.Encoder()
_instant = lru_cache(maxsize=4096)(rfc3339)
_Identity = tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]


_Encoded = tuple[Alert, bytes]  # an alert, and its JSON up to where the end is said


def _alike(one: Alert, other: Alert) -> bool:
    """Whether only their ends can differ; the mappings of an alert are never changed in place."""
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
    """Posts alerts; the label `retrain_request_id` makes every request an alert of its own."""

    integration = "alertmanager"
    Config: ClassVar[type[AlertmanagerConfig]] = AlertmanagerConfig

    def __init__(self, config: AlertmanagerConfig, context: SinkContext) -> None:
        super().__init__(config, context)
        self._context = context
        self._alerts_url = f"{self._url}/api/v2/alerts"
        self._refused: set[_Identity] = set()
        self._posted: dict[int, _Encoded] = {}  # what the last post held, by the address of its labels

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Post the request's alert; any 2xx is delivered, for the answer has no body."""
        return self.send_group([notification], {}, now)

    def send_group(self, notifications: Sequence[Notification], group: Mapping[str, str], now: Timestamp) -> Delivery:
        """Post the alerts of several requests at once."""
        return self.post(
            self._alerts_url, _body([self._encoded(notification, now) for notification in notifications]), {}, now
        )[0]

    def _encoded(self, notification: Notification, now: Timestamp) -> _Encoded:
        # Also a request that is delivered late must fire for a while, or nobody would be notified of it.
        ends_at = notification.ends_at if notification.kind is Kind.RESOLVED else now + self._context.resolve_after
        alert = request_alerts.requested(
            notification.request,
            self._context.sender,
            starts_at=notification.starts_at,
            ends_at=max(ends_at, notification.starts_at),
        )
        return alert, _beginning(alert)

    def post_alerts(self, alerts: Sequence[Alert], now: Timestamp) -> Delivery:
        """Post alerts in batches. An alert that Alertmanager refuses is named once in the log, and left out from then.

        Stops at the first attempt that failed for another reason, and gives its outcome.
        """
        wanted = [alert for alert in alerts if _identity(alert) not in self._refused] if self._refused else alerts
        encoded = self._encode(wanted)
        delivery = Delivery(Result.DELIVERED)
        for start in range(0, len(encoded), BATCH):
            delivery = self._post_batch(encoded[start : start + BATCH], now)
            if delivery.result is not Result.DELIVERED:
                break
        return delivery

    def _encode(self, alerts: Sequence[Alert]) -> list[_Encoded]:
        """Encoded anew is only what the last post did not hold with the very same mappings."""
        before, self._posted = self._posted, {}
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
        # A refused batch may or may not have stored its valid alerts: halves, until only the bad ones are left out.
        half = len(alerts) // 2
        first = self._post_batch(alerts[:half], now)
        return self._post_batch(alerts[half:], now) if first.result is Result.DELIVERED else first

    def _refuse(self, alert: Alert, delivery: Delivery) -> None:
        if len(self._refused) >= MOST_REMEMBERED:
            self._refused.clear()
        self._refused.add(_identity(alert))
        fields = {"labels": dict(alert.labels), "status": delivery.status, "answer": delivery.answer}
        log.error("Alertmanager refuses an alert", extra={"receiver": self._context.receiver, **fields})
