"""Base classes of sinks; for those that use HTTP also configuration, a single attempt and response classification."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
)

from bridge.domain.destination import Destination
from bridge.domain.times import DURATION_PATTERN, MINUTE, SECOND, Duration, Timestamp, format_duration, parse_duration
from bridge.net.http_config import Secret, SinkHttpConfig
from bridge.net.redact import hide_url, redact
from bridge.net.retry_after import retry_after
from bridge.net.session import Answer, NetError, call, forget_credentials, open_session
from bridge.ports import Delivery, Notification, RateLimit, Result, RunLedger
from bridge.ports.request_alerts import Sender

ANSWER_SHOWN = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class SinkContext:
    """Surroundings of a sink: its receiver, and the settings of the bridge that it needs.

    index: position among the receiver's entries of the same integration. external_url, external_labels: of the bridge.
    base_dir: folder of the configuration file. resolve_after: ms from now to an alert's endsAt.
    ledger: store of runs, None for sinks that start none.
    """

    receiver: str
    index: int
    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    base_dir: Path = Path()
    resolve_after: Duration = 4 * MINUTE
    ledger: RunLedger | None = None

    @property
    def sender(self) -> Sender:
        """External URL and labels of the bridge."""
        return Sender(self.external_url, self.external_labels)

    def destination(self, integration: str) -> Destination:
        """Return the destination of the sink with this integration."""
        return Destination(self.receiver, integration, self.index)


_Url = TypeVar("_Url", bound=str)


def _duration(value: object) -> int:
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError("must be a duration as in Prometheus, for example 10s or 5m")


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


DurationField = Annotated[
    int,
    BeforeValidator(_duration),
    AfterValidator(_positive),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}, mode="validation"),
]


def _http_url(value: _Url) -> _Url:
    try:
        parts = urlsplit(value)
        port_ok = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ValueError("is not a URL" if isinstance(value, Secret) else f"is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_ok:
        raise ValueError("must be an http or https URL with a host, for example http://localhost:9093")
    if parts.fragment:
        raise ValueError("must not have a #fragment")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user or password; use http_config: {basic_auth: ...}")
    return value


def _api_url(value: str) -> str:
    if urlsplit(value).query:
        raise ValueError("must not have a ?query: the path of the API is appended to it")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
ApiUrl = Annotated[HttpUrl, AfterValidator(_api_url)]
SecretUrl = Annotated[Secret, AfterValidator(_http_url)]  # any part of it may be a token


class RateLimitConfig(BaseModel):
    """Token bucket `rate_limit: {requests: 10, per: 1s}`: bursts of at most 10 attempts, 10 per second on average."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    requests: int = Field(gt=0)
    per: DurationField = SECOND


class SinkConfig(BaseModel):
    """Entry of a receiver."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # few of all kinds are used


class HttpSinkConfig(SinkConfig):
    """Settings of every entry with a URL. timeout: total time of one attempt, ms."""

    url: HttpUrl
    timeout: DurationField = 10 * SECOND
    rate_limit: RateLimitConfig | None = None
    http_config: SinkHttpConfig = SinkHttpConfig()

    @field_validator("http_config")
    @classmethod
    def _reject_reserved_headers(cls, value: SinkHttpConfig) -> SinkHttpConfig:
        for name in value.http_headers:
            if name.lower() == "idempotency-key" or name.lower().startswith(("ce-", "webhook-")):
                raise ValueError(f"http_headers may not set {name}: the bridge sets it for every request")
        return value


class ConcurrentSinkConfig(HttpSinkConfig):
    """Settings of entries whose sink may be used by several threads. max_in_flight: most parallel attempts."""

    max_in_flight: int = Field(default=8, ge=1, le=256)


class BaseSink(ABC):
    """Base of all sinks. A new one is a module in this package (or an entry point `bridge.sinks`), a test and a page.

    integration: receivers list its entries under `<integration>_configs`. Config: model of one entry.
    sends_resolved, reports_status: see ports.Sink. attempt_deadline: longest duration of one attempt, ms.
    rate: rate limit of the attempts, None = unlimited. max_in_flight: most attempts at once, each in its own thread.
    """

    integration: str
    Config: ClassVar[type[SinkConfig]] = SinkConfig
    sends_resolved: bool = False
    reports_status: bool = False
    attempt_deadline: Duration = 10 * SECOND
    rate: RateLimit | None = None
    max_in_flight: int = 1

    @abstractmethod
    def __init__(self, config: Any, context: SinkContext) -> None:
        """Build the sink from a validated entry of `Config`; must not connect."""

    @abstractmethod
    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Make one attempt. An exception counts as RETRY with reason `internal`."""

    def close(self) -> None:  # noqa: B027 - a sink without connections has nothing to close
        """Close the connections."""


class HttpSink(BaseSink):
    """Base of sinks that use HTTP; each thread has its own session, as requests' sessions are not thread-safe."""

    def __init__(self, config: HttpSinkConfig, context: SinkContext) -> None:
        self._http = config.http_config
        self._base_dir = context.base_dir
        self._url = config.url if isinstance(config.url, Secret) else config.url.rstrip("/")
        self._sessions: dict[int, requests.Session] = {}
        self._lock = threading.Lock()
        self._timeout = self.attempt_deadline = config.timeout
        self.max_in_flight = config.max_in_flight if isinstance(config, ConcurrentSinkConfig) else 1
        self.rate = RateLimit(config.rate_limit.requests, config.rate_limit.per) if config.rate_limit else None

    def attempt(
        self, method: str, url: str, *, data: bytes | None = None, headers: Mapping[str, str] | None = None,
        max_bytes: int = 65536,
    ) -> Answer:  # fmt: skip
        """Make one HTTP request within the entry's timeout; never follows a redirect. Raises NetError.

        max_bytes: a longer body is truncated.
        """
        return call(
            self._session(),
            method,
            url,
            deadline=self._timeout / 1000,
            max_bytes=max_bytes,
            data=data,
            headers=headers,
            allow_redirects=False,
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str], now: Timestamp) -> tuple[Delivery, Answer | None]:
        """POST `body` as JSON; return the classified outcome, and the response if there was one."""
        try:
            answer = self.attempt("POST", url, data=body, headers={"Content-Type": "application/json", **headers})
        except NetError as error:
            return unreached(error), None
        delivery = classify(answer, now, url)
        if delivery.result is Result.DENIED:
            forget_credentials(self._session())
        return delivery, answer

    def _session(self) -> requests.Session:
        key = threading.get_ident()
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = open_session(self._http, self._base_dir)
            return self._sessions[key]

    def close(self) -> None:
        """Close the sessions of all threads."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()


# 3xx: following it would turn the POST into a GET that answers 200, and the request would be silently lost.
_CLASSES = {
    2: (Result.DELIVERED, "ok"),
    3: (Result.DEAD, "redirect"),
    4: (Result.DEAD, "http_4xx"),
    5: (Result.RETRY, "http_5xx"),
}
_NAMED = {
    401: (Result.DENIED, "unauthorized"),
    403: (Result.DENIED, "unauthorized"),
    408: (Result.RETRY, "http_4xx"),
    425: (Result.RETRY, "http_4xx"),
    429: (Result.RETRY, "rate_limited"),
}


def classify(answer: Answer, now: Timestamp, url: str = "") -> Delivery:
    """Return the outcome of a delivery by the response's status, whatever its body. url: as in `shown`."""
    other = _CLASSES.get(answer.status // 100, (Result.RETRY, "invalid_answer"))
    result, reason = _NAMED.get(answer.status, other)
    wait = retry_after(_header(answer, "retry-after"), now) if result is Result.RETRY else 0
    return Delivery(result, reason, answer.status, shown(answer, url), wait)


def unreached(error: NetError) -> Delivery:
    """Return the outcome of an attempt without a response: RETRY, whatever failed."""
    reason = "invalid_answer" if error.reason == "too_large" else error.reason
    return Delivery(Result.RETRY, reason, 0, str(error)[:ANSWER_SHOWN])


def shown(answer: Answer, url: str = "") -> str:
    """Return the body for display: redacted, on one line, truncated. url: the requested URL; a Secret is removed."""
    text = _CONTROL.sub(" ", answer.body[: 4 * ANSWER_SHOWN].decode("utf-8", "replace"))
    text = hide_url(text, url.reveal()) if isinstance(url, Secret) else text
    return redact(text).strip()[:ANSWER_SHOWN]


def _header(answer: Answer, name: str) -> str | None:
    return next((value for key, value in answer.headers.items() if key.lower() == name), None)
