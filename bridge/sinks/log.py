"""Sink that writes requests to the bridge's own log. It always succeeds."""

from __future__ import annotations

import logging
from typing import ClassVar, Literal

from bridge.domain.times import Timestamp, rfc3339
from bridge.ports import Delivery, Notification, Result
from bridge.sinks.base import BaseSink, SinkConfig, SinkContext

log = logging.getLogger(__name__)

_EVENTS = {"firing": "retraining requested", "resolved": "retraining no longer requested"}


class LogConfig(SinkConfig):
    """Entry of `log_configs`; `send_resolved`: whether to write a line also when the episode ends."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    send_resolved: bool = True


class LogSink(BaseSink):
    """Sink that writes one structured line per request."""

    integration = "log"
    Config: ClassVar[type[LogConfig]] = LogConfig

    def __init__(self, config: LogConfig, context: SinkContext) -> None:
        self._level = logging.getLevelNamesMapping()[config.level.upper()]
        self._receiver = context.receiver
        self.sends_resolved = config.send_resolved

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Write the line; always delivered."""
        request = notification.request
        fields = {
            "receiver": self._receiver,
            "request_id": request.id,
            **request.model.labels(),
            "rule": request.rule,
            "reason": request.reason,
            "attempt": request.attempt,
            "triggered_at": rfc3339(request.triggered_at),
            "late": request.late,
        }
        log.log(self._level, _EVENTS[notification.kind.value], extra=fields)
        return Delivery(Result.DELIVERED)
