"""The coordinator sink: the whole request once, and its status later."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState
from bridge.ports import Result, StatusReport
from bridge.sinks.base import SinkContext
from bridge.sinks.coordinator import CoordinatorConfig, CoordinatorSink
from tests.support.notifications import REQUEST, T0, firing, request
from tests.support.receiver import HANG_UP, Receiver, Reply

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def taken(**changes: Any) -> bytes:
    answer = {"id": REQUEST.id, "state": "accepted", "reference": "run-1", "message": "", "new_version": ""}
    return json.dumps({**answer, "updated_at": "2023-11-14T22:13:21Z", **changes}).encode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(Reply(202, taken())) as server:
        yield server


@pytest.fixture
def sink(receiver: Receiver) -> Iterator[CoordinatorSink]:
    sink = build(receiver)
    yield sink
    sink.close()


def build(receiver: Receiver, **entry: Any) -> CoordinatorSink:
    config = CoordinatorConfig.model_validate({"url": f"{receiver.url}/co/", **entry})
    return CoordinatorSink(config, SinkContext("training", 0, "http://bridge.example"))


def test_the_whole_request_is_posted_with_its_headers(sink: CoordinatorSink, receiver: Receiver) -> None:
    """The body is the request as JSON; the id is the idempotency key and the CloudEvent's id."""
    delivery = sink.send(firing(), T0 + 5_000)
    assert (delivery.result, delivery.status, delivery.reference) == (Result.DELIVERED, 202, "run-1")
    got = receiver.requests[0]
    assert (got.method, got.path) == ("POST", "/co/api/v1/retrain-requests")
    assert got.json() == {**REQUEST.to_json(), "generator_url": f"http://bridge.example/requests/{REQUEST.id}"}
    wanted = {
        "content-type": "application/json",
        "idempotency-key": REQUEST.id,
        "ce-specversion": "1.0",
        "ce-id": REQUEST.id,
        "ce-source": "http://bridge.example",
        "ce-type": "io.retrain-bridge.retrain.requested.v1",
        "ce-subject": "shop/ranking/7",
        "ce-time": "2023-11-14T22:13:20.000Z",
    }
    assert {name: got.headers[name] for name in wanted} == wanted
    assert "webhook-signature" not in got.headers


def test_header_values_are_percent_encoded(receiver: Receiver) -> None:
    """A pipeline may have any name: a space, quote or line break must not break the header."""
    sink = build(receiver)
    sink.send(firing(request(model=ModelKey("a b", '"%\r\nX-Evil: 1', "größe€"))), T0)
    sink.close()
    assert receiver.requests[0].headers["ce-subject"] == "a%20b/%22%25%0D%0AX-Evil:%201/gr%C3%B6%C3%9Fe%E2%82%AC"
    assert "x-evil" not in receiver.requests[0].headers


def test_a_repeat_has_the_same_body_key_and_event_but_its_own_signature_time(receiver: Receiver) -> None:
    """A coordinator drops a repeat by its key; a replayed old signature is still refused by its timestamp."""
    sink = build(receiver, secret=SECRET)
    sink.send(firing(), T0)
    sink.send(firing(), T0 + 60_000)
    sink.close()
    first, second = receiver.requests
    assert first.body == second.body
    assert {name for name in first.headers if first.headers[name] != second.headers[name]} == {
        "webhook-timestamp",
        "webhook-signature",
    }
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1700000000", "1700000060")


@pytest.mark.parametrize(
    ("reply", "result", "reason", "reference"),
    [
        (Reply(200, taken()), Result.DELIVERED, "ok", "run-1"),
        (Reply(202, taken(extra=1)), Result.DELIVERED, "ok", "run-1"),
        (Reply(200, b'{"reference": "run-2"}'), Result.DELIVERED, "ok", "run-2"),
        (Reply(409, taken()), Result.DELIVERED, "ok", "run-1"),
        (Reply(409, b"known"), Result.DELIVERED, "ok", ""),
        (Reply(200, b"<html>welcome"), Result.RETRY, "invalid_answer", ""),
        (Reply(200, b""), Result.RETRY, "invalid_answer", ""),
        (Reply(200, b"[]"), Result.RETRY, "invalid_answer", ""),
        (Reply(204), Result.RETRY, "invalid_answer", ""),
        (Reply(202, taken(reference="")), Result.RETRY, "invalid_answer", ""),
        (Reply(202, taken(reference=7)), Result.RETRY, "invalid_answer", ""),
        (Reply(202, taken(id="f" * 32)), Result.RETRY, "invalid_answer", ""),
        (Reply(422, b"no such pipeline"), Result.DEAD, "http_4xx", ""),
    ],
)
def test_only_a_response_with_a_reference_is_an_acceptance(
    sink: CoordinatorSink, receiver: Receiver, reply: Reply, result: Result, reason: str, reference: str
) -> None:
    """A 200 from a proxy or the wrong server is not an acceptance: without a reference the request is retried."""
    receiver.plan = [reply]
    delivery = sink.send(firing(), T0)
    assert (delivery.result, delivery.reason, delivery.reference) == (result, reason, reference)


def test_without_a_readable_secret_nothing_is_sent(receiver: Receiver) -> None:
    """Nothing is sent unsigned."""
    sink = build(receiver, secret_file="nowhere")
    assert sink.send(firing(), T0).reason == "credential"
    sink.close()
    assert receiver.requests == []


def test_a_coordinator_that_is_away_is_tried_again(sink: CoordinatorSink, receiver: Receiver) -> None:
    """No answer at all."""
    receiver.plan = [HANG_UP]
    assert sink.send(firing(), T0).result is Result.RETRY


@pytest.mark.parametrize("state", ["accepted", "running", "succeeded", "failed", "cancelled", "lost"])
def test_every_state_of_the_api_is_understood(sink: CoordinatorSink, receiver: Receiver, state: str) -> None:
    """The report has the coordinator's message, without a NUL, and instant."""
    receiver.plan = [Reply(200, taken(state=state, message="m\0", new_version="8"))]
    assert sink.status(REQUEST.id, T0 + 9_000) == StatusReport(
        REQUEST.id, RequestState(state), T0 + 1_000, "m\ufffd", "8", "run-1"
    )
    assert (receiver.requests[0].method, receiver.requests[0].path) == (
        "GET",
        f"/co/api/v1/retrain-requests/{REQUEST.id}",
    )


@pytest.mark.parametrize("updated_at", ["", "yesterday", "2023-11-14T22:13:21"])
def test_a_report_without_a_usable_instant_is_of_now(
    sink: CoordinatorSink, receiver: Receiver, updated_at: str
) -> None:
    """A minor defect of a coordinator does not hide the request's status."""
    receiver.plan = [Reply(200, taken(updated_at=updated_at))]
    report = sink.status(REQUEST.id, T0 + 9_000)
    assert report is not None
    assert report.at == T0 + 9_000


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, b"x"),
        Reply(200, b"rubbish"),
        Reply(200, taken(state="exploded")),
        Reply(200, taken(state="held")),
        Reply(200, taken(id="f" * 32)),
        Reply(302, b"", {"Location": "/"}),
        HANG_UP,
    ],
)
def test_an_unusable_status_is_no_report_and_is_logged_once(
    sink: CoordinatorSink, receiver: Receiver, reply: Reply | str, caplog: pytest.LogCaptureFixture
) -> None:
    """Polling every open request of a coordinator that is down must not fill the log."""
    receiver.plan = [reply]
    with caplog.at_level(logging.WARNING):
        assert sink.status(REQUEST.id, T0) is None
        assert sink.status(REQUEST.id, T0) is None
    assert [record.getMessage() for record in caplog.records] == ["cannot get a status from the coordinator"]


def test_an_unknown_request_is_no_report_and_no_trouble(
    sink: CoordinatorSink, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """404: the request has not arrived yet, or was deleted."""
    receiver.plan = [Reply(404, b"{}")]
    assert sink.status(REQUEST.id, T0) is None
    assert caplog.records == []


def test_the_headers_stay_small_whatever_the_model_is_called(sink: CoordinatorSink, receiver: Receiver) -> None:
    """Servers accept 16 kB of headers or less; a character outside ASCII takes up to twelve bytes."""
    model = ModelKey("😀" * 1024, "😀" * 1024, "😀" * 1024)
    sink.send(replace(firing(), request=structs.replace(REQUEST, model=model)), T0)
    (got,) = receiver.requests
    assert sum(len(name) + len(value) for name, value in got.headers.items()) < 4_000
    assert got.json()["version"] == model.version


def test_many_records_are_listed_by_one_call() -> None:
    """What the list does not have is asked for alone: another coordinator may ignore the ids, or list nothing."""
    ids = [f"{number:032x}" for number in range(3)]
    listed = [{"id": ids[0], "state": "running"}, {"id": ids[1], "state": "odd"}, {"id": "f" * 32, "state": "failed"}]
    alone = Reply(200, json.dumps({"id": ids[1], "state": "succeeded"}).encode())
    with Receiver(Reply(200, json.dumps({"requests": listed, "total": 3}).encode()), alone, Reply(404)) as server:
        sink = CoordinatorSink(CoordinatorConfig(url=server.url), SinkContext("ops", 0))
        found = {id_: report.state.value if report else None for id_, report in sink.statuses(ids, T0)}
        assert found == {ids[0]: "running", ids[1]: "succeeded", ids[2]: None}
        query = "&".join(f"id={id_}" for id_ in ids)
        paths = [request.path for request in server.requests]
        base = "/api/v1/retrain-requests"
        assert paths == [f"{base}?{query}&limit=3", f"{base}/{ids[1]}", f"{base}/{ids[2]}"]
