"""Any receiver of Alertmanager's webhook payload, version "4"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from bridge.domain.times import Timestamp, rfc3339
from bridge.engine import notice
from bridge.net.session import NetError
from bridge.ports import Delivery, Kind, Parcel
from bridge.sinks.base import HttpSink, SinkContext, unreached
from bridge.sinks.signing import SignedSinkConfig, Signer

NEVER = "0001-01-01T00:00:00Z"
_FNV_OFFSET, _FNV_PRIME, _U64 = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


class WebhookConfig(SignedSinkConfig):
    """An entry of `webhook_configs`. send_resolved: also tell when the episode is over."""

    send_resolved: bool = True


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's name for a label set: FNV-1a 64 over name 0xFF value 0xFF, names sorted; 16 hex digits."""
    value = _FNV_OFFSET
    for name, text in sorted(labels.items()):
        for byte in name.encode() + b"\xff" + text.encode() + b"\xff":
            value = (value ^ byte) * _FNV_PRIME & _U64
    return f"{value:016x}"


class WebhookSink(HttpSink):
    """Posts each request as a group of one alert."""

    integration = "webhook"
    Config: ClassVar[type[WebhookConfig]] = WebhookConfig

    def __init__(self, config: WebhookConfig, context: SinkContext) -> None:
        super().__init__(config, context)
        self._url = config.url
        self._context = context
        self._signer = Signer(config, context.base_dir)
        self.sends_resolved = config.send_resolved

    def send(self, parcel: Parcel, now: Timestamp) -> Delivery:
        """Post the payload; any 2xx is delivered."""
        body = msgspec.json.encode(payload(parcel, self._context))
        # The end of a request is another message than its beginning: one key for both would drop it as a repeat.
        key = parcel.request.id if parcel.kind is Kind.FIRING else f"{parcel.request.id}-resolved"
        try:
            headers = {"Idempotency-Key": key, **self._signer.headers(key, body, now)}
        except NetError as error:
            return unreached(error)
        return self.post(self._url, body, headers, now)[0]


def payload(parcel: Parcel, context: SinkContext) -> dict[str, Any]:
    """The version "4" body of one request."""
    request, sender = parcel.request, context.sender
    labels, annotations = notice.identity(request, sender), notice.remarks(request)
    group = {name: labels[name] for name in ("alertname", "retrain_request_id")}
    status = parcel.kind.value
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{group["alertname"]}", retrain_request_id="{request.id}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": context.receiver,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": context.external_url,
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": rfc3339(parcel.starts_at),
                "endsAt": rfc3339(parcel.ends_at) if parcel.kind is Kind.RESOLVED else NEVER,
                "generatorURL": sender.link(request.id),
                "fingerprint": fingerprint(labels),
            }
        ],
    }
