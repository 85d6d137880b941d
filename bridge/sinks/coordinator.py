"""Sink for a pipeline coordinator with the coordinator API, which accepts requests and reports their status."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec
from pydantic import Field

from bridge.domain.limits import cut
from bridge.domain.printable import storable
from bridge.domain.request import RequestState, RetrainRequest
from bridge.domain.times import Timestamp, parse_rfc3339, rfc3339
from bridge.net.session import Answer, NetError
from bridge.ports import Delivery, Notification, Result, StatusReport
from bridge.sinks.base import ApiUrl, HttpSink, SinkContext, unreached
from bridge.sinks.signing import SignedSinkConfig, Signer

log = logging.getLogger(__name__)

LISTED = 100  # requests of one list
SUBJECT = 200  # characters of the model in a header: servers accept 16 kB of headers or less
EVENT_TYPE = "io.retrain-bridge.retrain.requested.v1"
SOURCE = "/retrain-bridge"
_STATES = {
    state.value: state
    for state in (
        RequestState.ACCEPTED,
        RequestState.RUNNING,
        RequestState.SUCCEEDED,
        RequestState.FAILED,
        RequestState.CANCELLED,
        RequestState.LOST,
    )
}
# CloudEvents' HTTP binding: printable characters are not encoded, except space, double quote and percent.
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class CoordinatorConfig(SignedSinkConfig):
    """Entry of `coordinator_configs`; the API's path is appended to `url`."""

    url: ApiUrl
    max_in_flight: int = Field(default=32, ge=1, le=256)


class _Reply(msgspec.Struct):
    """Coordinator's record of a request; unknown keys are ignored, absent ones empty."""

    id: str = ""
    state: str = ""
    reference: str = ""
    message: str = ""
    new_version: str = ""
    updated_at: str = ""

    def __post_init__(self) -> None:
        self.reference, self.message = storable(self.reference), storable(self.message)
        self.new_version = storable(self.new_version)


class _Replies(msgspec.Struct):
    """Coordinator's list of records."""

    requests: list[_Reply] = []


class CoordinatorSink(HttpSink):
    """Sink that sends the whole request until it is accepted; the coordinator drops a repeated Idempotency-Key."""

    integration = "coordinator"
    Config: ClassVar[type[CoordinatorConfig]] = CoordinatorConfig
    reports_status = True

    def __init__(self, config: CoordinatorConfig, context: SinkContext) -> None:
        super().__init__(config, context)
        self._context = context
        self._requests_url = f"{self._url}/api/v1/retrain-requests"
        self._signer = Signer(config, context.base_dir)
        self._problem = ""

    def secrets(self) -> list[str]:
        """Return the signing secrets, which the coordinator uses for its status reports as well."""
        return self._signer.current()

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Post the request; 2xx with a reference, or 409 (a known key), counts as delivered."""
        request = notification.request
        body = msgspec.json.encode({**request.to_json(), "generator_url": self._context.sender.link(request.id)})
        try:
            signature = self._signer.headers(request.id, body, now)
        except NetError as error:
            return unreached(error)
        headers = {"Idempotency-Key": request.id, **self._event_headers(request), **signature}
        delivery, answer = self.post(self._requests_url, body, headers, now)
        return _accepted(delivery, answer, request.id) if answer is not None else delivery

    def _event_headers(self, request: RetrainRequest) -> dict[str, str]:
        key = request.model
        return {
            "ce-specversion": "1.0",
            "ce-id": request.id,
            "ce-source": _encoded(self._context.external_url or SOURCE),
            "ce-type": EVENT_TYPE,
            "ce-subject": _encoded(cut(f"{key.project}/{key.pipeline}/{key.version}", SUBJECT)),
            "ce-time": rfc3339(request.triggered_at),
        }

    def statuses(self, request_ids: Sequence[str], now: Timestamp) -> Iterator[tuple[str, StatusReport | None]]:
        """Yield the records of requests: by lists, and each alone that a list does not have."""
        for start in range(0, len(request_ids), LISTED):
            ids = request_ids[start : start + LISTED]
            listed = self._listed(ids, now) if len(ids) > 1 else {}
            for request_id in ids:
                yield request_id, listed.get(request_id) or self.status(request_id, now)

    def _listed(self, request_ids: Sequence[str], now: Timestamp) -> Mapping[str, StatusReport]:
        """Return the records that one call lists; none if the coordinator cannot list requests by id."""
        wanted = "&".join(f"id={quote(request_id, safe='')}" for request_id in request_ids)
        try:
            answer = self.attempt("GET", f"{self._requests_url}?{wanted}&limit={len(request_ids)}")
            replies = msgspec.json.decode(answer.body, type=_Replies).requests if answer.status == 200 else []
        except (NetError, msgspec.DecodeError):
            return {}
        usable = (reply for reply in replies if reply.id in set(request_ids) and reply.state in _STATES)
        return {reply.id: _report(reply, reply.id, now) for reply in usable}

    def status(self, request_id: str, now: Timestamp) -> StatusReport | None:
        """Return the coordinator's current record of a request; None if it is unknown or the response is unusable."""
        try:
            answer = self.attempt("GET", f"{self._requests_url}/{quote(request_id, safe='')}")
        except NetError as error:
            self._warn_once(f"{error.reason}: {error}")
            return None
        reply = _reply(answer)
        usable = answer.status == 200 and reply is not None and reply.state in _STATES and reply.id in {"", request_id}
        self._warn_once("" if usable or answer.status == 404 else f"status {answer.status} without a usable body")
        return _report(reply, request_id, now) if usable and reply is not None else None

    def _warn_once(self, problem: str) -> None:
        """Log a new problem once ("" = none): an unreachable coordinator is polled for every open request."""
        if problem and problem != self._problem:
            log.warning(
                "cannot get a status from the coordinator",
                extra={"receiver": self._context.receiver, "error": problem},
            )
        self._problem = problem


def _report(reply: _Reply, request_id: str, now: Timestamp) -> StatusReport:
    at = _instant(reply, now)
    return StatusReport(request_id, _STATES[reply.state], at, reply.message, reply.new_version, reply.reference)


def _accepted(delivery: Delivery, answer: Answer, request_id: str) -> Delivery:
    reply = _reply(answer)
    named = reply is not None and bool(reply.reference) and reply.id in {"", request_id}
    reference = reply.reference if reply is not None and named else ""
    if answer.status == 409:
        return Delivery(Result.DELIVERED, "ok", 409, delivery.answer, reference=reference)
    if delivery.result is not Result.DELIVERED:
        return delivery
    if not named:
        # Without a reference nothing proves that it was accepted: a page of a proxy or a wrong server is a 200 as well.
        return Delivery(Result.RETRY, "invalid_answer", answer.status, delivery.answer)
    return Delivery(Result.DELIVERED, "ok", answer.status, delivery.answer, reference=reference)


def _reply(answer: Answer) -> _Reply | None:
    try:
        return msgspec.json.decode(answer.body, type=_Reply)
    except msgspec.DecodeError:
        return None


def _instant(reply: _Reply, now: Timestamp) -> Timestamp:
    try:
        return parse_rfc3339(reply.updated_at)
    except ValueError:
        return now


def _encoded(value: str) -> str:
    return quote(value, safe=_PRINTABLE)
