"""Destinations of requests and alerts, and the results of deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bridge.domain.request import RequestState, RetrainRequest
from bridge.domain.times import SECOND, Duration, Timestamp


class Kind(StrEnum):
    """Kind of a delivery: a retraining is requested, or its episode has ended."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notification:
    """Request to deliver, with the state of its episode.

    queued_at: when the delivery was queued: after all gates, or when it was queued again by an operator.
    ends_at: end of the episode, 0 = open.
    """

    request: RetrainRequest
    kind: Kind
    starts_at: Timestamp
    queued_at: Timestamp
    ends_at: Timestamp = 0


class Result(StrEnum):
    """Result of one HTTP attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"  # may succeed later: network, deadline, 408, 425, 429, 5xx
    DENIED = "denied"  # 401, 403: one retry with the credential read again, then slow retries and an alert
    DEAD = "dead"  # never: 3xx, other 4xx
    HELD = "held"  # the receiver answers, and nothing may be sent now: due again after retry_after, without an end


@dataclass(frozen=True, slots=True)
class Delivery:
    """Outcome of one attempt.

    reason: closed set of words for metrics (`ok`, `network`, `timeout`, `http_4xx`, `http_5xx`, `redirect`,
        `rate_limited`, `unauthorized`, `invalid_answer`, `unknown_outcome`).
    status: HTTP status, 0 = none.
    answer: response or error, redacted and truncated.
    retry_after: delay that the receiver requested, in ms, 0 = none.
    reference: the receiver's own id of the request.
    """

    result: Result
    reason: str = "ok"
    status: int = 0
    answer: str = ""
    retry_after: Duration = 0
    reference: str = ""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Token bucket: bursts of at most `requests` HTTP attempts, and as many per `per` ms on average."""

    requests: int
    per: Duration = SECOND


@runtime_checkable
class GroupedSink(Protocol):
    """Destination that accepts several requests in one message."""

    def send_group(self, notifications: Sequence[Notification], group: Mapping[str, str], now: Timestamp) -> Delivery:
        """Send several requests in one message; otherwise like Sink.send.

        group: the labels that they are grouped by.
        """
        ...


class Sink(Protocol):
    """Destination. One call is one HTTP attempt with a total deadline; it never raises and never retries.

    integration: "alertmanager", "webhook", "coordinator", "run" or "log".
    sends_resolved: True = the outbox also queues a RESOLVED notification when the episode ends.
    reports_status: True for a coordinator or orchestrator, which reports the outcome of requests later.
    """

    integration: str
    sends_resolved: bool
    reports_status: bool

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Send one notification in one attempt."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Alert:
    """Alert in the form of Alertmanager's API.

    ends_at: in the future while open, in the past when resolved.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: Timestamp
    ends_at: Timestamp
    generator_url: str = ""


@runtime_checkable
class AlertSink(Protocol):
    """Destination whose open alerts are re-posted, since it keeps them in memory only and lets them expire."""

    def post_alerts(self, alerts: Iterable[Alert], now: Timestamp) -> Delivery:
        """Post alerts in one attempt. They are made as they are read, so nothing is read after a failure."""
        ...


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Report of a coordinator or orchestrator on a request. link: URL of its run for people."""

    request_id: str
    state: RequestState
    at: Timestamp
    message: str = ""
    new_version: str = ""
    reference: str = ""
    link: str = ""


@runtime_checkable
class StatusSource(Protocol):
    """Coordinator that can be queried for the state of requests."""

    def statuses(self, request_ids: Sequence[str], now: Timestamp) -> Iterator[tuple[str, StatusReport | None]]:
        """Yield the state of each request; None if the coordinator does not have it or cannot be reached.

        Calls are made as the results are read; the caller may stop between two.
        """
        ...
