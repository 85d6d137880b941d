"""Sink for any receiver of Alertmanager's webhook payload, version "4"."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from bridge.domain.times import Timestamp, rfc3339
from bridge.net.session import NetError
from bridge.ports import Delivery, Kind, Notification, request_alerts
from bridge.sinks.base import HttpSink, SecretUrl, SinkContext, unreached
from bridge.sinks.signing import SignedSinkConfig, Signer

NEVER = "0001-01-01T00:00:00Z"
_FNV_OFFSET, _FNV_PRIME, _U64 = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


class WebhookConfig(SignedSinkConfig):
    """Entry of `webhook_configs`; `send_resolved`: whether to notify also when the episode ends."""

    url: SecretUrl
    send_resolved: bool = True


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return Alertmanager's fingerprint of a label set: FNV-1a 64 over sorted name 0xFF value 0xFF; 16 hex digits."""
    value = _FNV_OFFSET
    for name, text in sorted(labels.items()):
        for byte in name.encode() + b"\xff" + text.encode() + b"\xff":
            value = (value ^ byte) * _FNV_PRIME & _U64
    return f"{value:016x}"


class WebhookSink(HttpSink):
    """Sink that posts each request as a group of one alert, or the requests of a bundle as one group."""

    integration = "webhook"
    Config: ClassVar[type[WebhookConfig]] = WebhookConfig

    def __init__(self, config: WebhookConfig, context: SinkContext) -> None:
        super().__init__(config, context)
        self._context = context
        self._signer = Signer(config, context.base_dir)
        self.sends_resolved = config.send_resolved

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Post the payload; any 2xx counts as delivered."""
        # Firing and resolved are different messages: with one key for both, the second would be dropped as a repeat.
        key = notification.request.id if notification.kind is Kind.FIRING else f"{notification.request.id}-resolved"
        identity = request_alerts.identity(notification.request, self._context.sender)
        group = {name: identity[name] for name in ("alertname", "retrain_request_id")}
        return self._post(payload([notification], group, self._context), key, now)

    def send_group(self, notifications: Sequence[Notification], group: Mapping[str, str], now: Timestamp) -> Delivery:
        """Post several requests as one group; its key is derived from their ids, so that a repeat has the same key."""
        ids = "\n".join(sorted(notification.request.id for notification in notifications))
        key = hashlib.sha256(ids.encode()).hexdigest()[:32]
        return self._post(payload(notifications, group, self._context), key, now)

    def _post(self, message: Mapping[str, Any], key: str, now: Timestamp) -> Delivery:
        body = msgspec.json.encode(message)
        try:
            headers = {"Idempotency-Key": key, **self._signer.headers(key, body, now)}
        except NetError as error:
            return unreached(error)
        return self.post(self._url, body, headers, now)[0]


def payload(notifications: Sequence[Notification], group: Mapping[str, str], context: SinkContext) -> dict[str, Any]:
    """Return the version "4" body of one or more requests. group: the labels that they are grouped by."""
    alerts = [_alert(notification, context) for notification in notifications]
    shown = ", ".join(f'{name}="{value}"' for name, value in sorted(group.items()))
    firing = any(alert["status"] == Kind.FIRING.value for alert in alerts)
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{shown}}}",
        "truncatedAlerts": 0,
        "status": Kind.FIRING.value if firing else Kind.RESOLVED.value,
        "receiver": context.receiver,
        "groupLabels": dict(group),
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": context.external_url,
        "alerts": alerts,
    }


def _alert(notification: Notification, context: SinkContext) -> dict[str, Any]:
    request, sender = notification.request, context.sender
    labels = request_alerts.identity(request, sender)
    return {
        "status": notification.kind.value,
        "labels": labels,
        "annotations": request_alerts.remarks(request),
        "startsAt": rfc3339(notification.starts_at),
        "endsAt": rfc3339(notification.ends_at) if notification.kind is Kind.RESOLVED else NEVER,
        "generatorURL": sender.link(request.id),
        "fingerprint": fingerprint(labels),
    }


def _common(sets: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the items that all label sets share."""
    return {name: value for name, value in sets[0].items() if all(labels.get(name) == value for labels in sets)}
