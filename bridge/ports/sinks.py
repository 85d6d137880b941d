"""Where requests and alerts go, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bridge.domain.request import RequestState, RetrainRequest
from bridge.domain.times import SECOND, Duration, Timestamp


class Kind(StrEnum):
    """What a delivery tells: that a retraining is asked for, or that its episode is over."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to deliver: a request, at the state of its episode. `ends_at` 0 while the episode is open."""

    request: RetrainRequest
    kind: Kind
    starts_at: Timestamp
    ends_at: Timestamp = 0


class Result(StrEnum):
    """What one HTTP attempt came to."""

    DELIVERED = "delivered"
    RETRY = "retry"  # may succeed later: network, deadline, 408, 425, 429, 5xx
    DENIED = "denied"  # 401, 403: the credential is read again at once, then slow retries and an alarm
    DEAD = "dead"  # never: 3xx, other 4xx


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of one attempt.

    reason: closed word for metrics (`ok`, `network`, `timeout`, `http_503`-like classes `http_4xx`/`http_5xx`,
    `redirect`, `rate_limited`, `unauthorized`, `invalid_answer`). answer: the (redacted, capped) answer or error.
    retry_after: ms to wait as the receiver asked, 0 = it did not. reference: the receiver's own name for the request.
    """

    result: Result
    reason: str = "ok"
    status: int = 0
    answer: str = ""
    retry_after: Duration = 0
    reference: str = ""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `requests` HTTP attempts in any burst, refilled evenly over `per` ms."""

    requests: int
    per: Duration = SECOND


@runtime_checkable
class GroupedSink(Protocol):
    """A destination that takes several requests in one message."""

    def send_group(self, notifications: Sequence[Notification], group: Mapping[str, str], now: Timestamp) -> Delivery:
        """As Sink.send, for all of them at once. group: the labels that they were bundled by."""
        ...


class Sink(Protocol):
    """One destination. One call is one HTTP attempt with a total deadline; never raises, never retries inside."""

    integration: str  # "alertmanager", "webhook", "coordinator", "log"
    sends_resolved: bool  # wants a RESOLVED parcel through the outbox when the episode ends
    reports_status: bool  # a coordinator: says later what became of the request

    def send(self, notification: Notification, now: Timestamp) -> Delivery: ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as Alertmanager's API takes it. ends_at: in the future while open, past when resolved."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: Timestamp
    ends_at: Timestamp
    generator_url: str = ""


@runtime_checkable
class AlertSink(Protocol):
    """A destination that must be reminded of what is open: 200 is not delivery there, alerts live in memory only."""

    def post_alerts(self, alerts: Sequence[Alert], now: Timestamp) -> Delivery: ...


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a coordinator says of a request."""

    request_id: str
    state: RequestState
    at: Timestamp
    message: str = ""
    new_version: str = ""
    reference: str = ""


@runtime_checkable
class StatusSource(Protocol):
    """A coordinator that can be asked. None: it does not know the request, or was not reached."""

    def status(self, request_id: str, now: Timestamp) -> StatusReport | None: ...
