"""The Alertmanager sink against a receiver that can misbehave; the real one is in tests/integration."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.domain.times import MINUTE
from bridge.ports import Alert, Kind, Notification, Result
from bridge.sinks.alertmanager import AlertmanagerConfig, AlertmanagerSink
from bridge.sinks.base import SinkContext
from tests.support.notifications import REQUEST, T0, firing, numbered, resolved
from tests.support.receiver import HANG_UP, Receiver, Reply

CONTEXT = SinkContext("ops", 0, "http://bridge.example", {"cluster": "eu1"}, Path(), 5 * MINUTE)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def sink(receiver: Receiver) -> Iterator[AlertmanagerSink]:
    config = AlertmanagerConfig.model_validate({"url": f"{receiver.url}/am/", "timeout": "2s"})
    sink = AlertmanagerSink(config, CONTEXT)
    yield sink
    sink.close()


def alert(number: int = 0, **changes: Any) -> Alert:
    labels = {"alertname": "ModelRetrainRequested", "retrain_request_id": numbered(number).id}
    return Alert({**labels, **changes.pop("labels", {})}, {"summary": "x"}, T0, T0 + MINUTE)


def test_a_request_is_posted_as_one_alert_under_the_prefix(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """Labels identify, annotations explain, startsAt is the episode's start, endsAt lies ahead."""
    delivery = sink.send(firing(), T0 + 1_000)
    assert (delivery.result, delivery.reason, delivery.status) == (Result.DELIVERED, "ok", 200)
    got = receiver.requests[0]
    assert (got.method, got.path, got.headers["content-type"]) == ("POST", "/am/api/v2/alerts", "application/json")
    assert got.json() == [
        {
            "labels": {
                "alertname": "ModelRetrainRequested",
                "project": "shop",
                "pipeline": "ranking",
                "version": "7",
                "rule": "DriftHigh",
                "retrain_request_id": REQUEST.id,
                "severity": "page",
                "cluster": "eu1",
            },
            "annotations": {
                "summary": "Retraining requested for shop/ranking/7",
                "description": "drift 0.702 is above 0.6 (rule DriftHigh, attempt 1).",
                "runbook": "https://wiki.example/drift",
            },
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "2023-11-14T22:18:21.000Z",
            "generatorURL": f"http://bridge.example/requests/{REQUEST.id}",
        }
    ]


def test_a_request_that_is_delivered_late_still_fires(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """Its episode may have ended: it must fire for a while, or nobody would be notified."""
    sink.send(Notification(REQUEST, Kind.FIRING, T0, T0, ends_at=T0 + MINUTE), T0 + 10 * MINUTE)
    assert receiver.requests[0].json()[0]["endsAt"] == "2023-11-14T22:28:20.000Z"


def test_a_resolved_parcel_ends_the_alert(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """endsAt is the end of the episode."""
    sink.send(resolved(), T0 + MINUTE)
    assert receiver.requests[0].json()[0]["endsAt"] == "2023-11-14T22:23:20.000Z"


def test_any_body_with_200_is_delivered(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """The API returns an empty body."""
    receiver.plan = [Reply(200, b"<html>rubbish")]
    assert sink.send(firing(), T0).result is Result.DELIVERED


def test_alerts_are_posted_a_thousand_at_a_time(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """2,500 alerts are three POSTs, and every alert is in one of them."""
    assert sink.post_alerts([alert(number) for number in range(2_500)], T0).result is Result.DELIVERED
    sizes = [len(got.json()) for got in receiver.requests]
    ids = {item["labels"]["retrain_request_id"] for got in receiver.requests for item in got.json()}
    assert sizes == [1_000, 1_000, 500]
    assert len(ids) == 2_500


class Texts(dict[str, str]):
    """Return alerts with annotations that show where they were truncated."""


class _Strict(Receiver):
    """Receiver that refuses a batch with an invalid alert, and stores nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: set[str] = set()

    def _take(self, request: Any) -> Reply:
        super()._take(request)
        items = request.json()
        if any("bad" in item["labels"] for item in items):
            return Reply(400, b'"invalid label set"')
        self.stored |= {item["labels"]["retrain_request_id"] for item in items}
        return Reply()


@pytest.fixture
def strict() -> Iterator[tuple[_Strict, AlertmanagerSink]]:
    with _Strict() as server:
        sink = AlertmanagerSink(AlertmanagerConfig(url=server.url), CONTEXT)
        yield server, sink
        sink.close()


def test_one_bad_alert_does_not_cost_the_others_of_its_batch(
    strict: tuple[_Strict, AlertmanagerSink], caplog: pytest.LogCaptureFixture
) -> None:
    """The batch is halved until only the invalid ones are omitted; each is logged once, and not posted again."""
    server, sink = strict
    alerts = [alert(number, labels={"bad": "x"} if number in {17, 90} else {}) for number in range(100)]
    with caplog.at_level(logging.ERROR):
        assert sink.post_alerts(alerts, T0).result is Result.DELIVERED
        posts = len(server.requests)
        assert sink.post_alerts(alerts, T0).result is Result.DELIVERED
    assert server.stored == {numbered(number).id for number in range(100) if number not in {17, 90}}
    assert len(server.requests) == posts + 1
    assert [record.__dict__["labels"]["retrain_request_id"] for record in caplog.records] == [
        numbered(17).id,
        numbered(90).id,
    ]
    assert caplog.records[0].__dict__["answer"] == '"invalid label set"'


def test_an_alert_that_was_refused_is_tried_again_when_it_changed(strict: tuple[_Strict, AlertmanagerSink]) -> None:
    """New annotations may have made the alert valid."""
    server, sink = strict
    bad = alert(1, labels={"bad": "x"})
    sink.post_alerts([bad], T0)
    sink.post_alerts([bad], T0)
    assert len(server.requests) == 1
    sink.post_alerts([Alert(bad.labels, {"summary": "y"}, T0, T0 + MINUTE)], T0)
    assert len(server.requests) == 2


def test_the_memory_of_refused_alerts_is_bounded(
    strict: tuple[_Strict, AlertmanagerSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endless series of invalid alerts does not fill the memory."""
    server, sink = strict
    monkeypatch.setattr("bridge.sinks.alertmanager.MOST_REMEMBERED", 2)
    for number in range(3):
        sink.post_alerts([alert(number, labels={"bad": "x"})], T0)
    sink.post_alerts([alert(0, labels={"bad": "x"}), alert(2, labels={"bad": "x"})], T0)
    assert len(server.requests) == 4


def test_a_failure_in_the_middle_stops_and_is_returned(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """The rest would fail too: the next re-post has all alerts."""
    receiver.plan = [Reply(), Reply(503, b"", {"Retry-After": "7"}), Reply()]
    delivery = sink.post_alerts([alert(number) for number in range(2_500)], T0)
    assert (delivery.result, delivery.reason, delivery.retry_after) == (Result.RETRY, "http_5xx", 7_000)
    assert len(receiver.requests) == 2


def test_alerts_after_a_failure_are_not_even_made(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """While Alertmanager is down, each attempt needs the first batch only, however many alerts are open."""
    receiver.plan = [Reply(503)]
    made = list[int]()
    assert sink.post_alerts((made.append(number) or alert(number) for number in range(5_000)), T0).reason == "http_5xx"  # type: ignore[func-returns-value]
    assert len(made) == 1_000
    assert len(sink._posted) == 1_000


def test_a_failure_while_halving_stops_too(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """A receiver that goes down during the search for the invalid alert does not get hundreds of calls."""
    receiver.plan = [Reply(400), HANG_UP]
    assert sink.post_alerts([alert(number) for number in range(64)], T0).reason == "network"
    assert len(receiver.requests) == 2


def test_nothing_to_post_is_no_request(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """An empty array would be a wasted call."""
    assert sink.post_alerts([], T0).result is Result.DELIVERED
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"url": "http://am:9093/api/v2/alerts"}, "without /api/"),
        ({"url": "am:9093"}, "must be an http or https URL with a host"),
        ({"url": "http://am:x"}, "is not a URL"),
        ({"url": "http://am#x"}, "must not have a #fragment"),
        ({"url": "http://am", "timeout": 10}, "must be a duration as in Prometheus"),
        ({"url": "http://am", "timeout": "0s"}, "must be more than 0"),
        ({"url": "http://am", "rate_limit": {"requests": 0}}, "greater than 0"),
        ({"url": "http://am", "send_resolved": True}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_would_be_right(entry: dict[str, Any], message: str) -> None:
    """Each error is reported when the file is loaded, not when the first request is due."""
    with pytest.raises(ValidationError, match=message):
        AlertmanagerConfig.model_validate(entry)


def test_a_rate_limit_and_a_timeout_reach_the_courier() -> None:
    """The courier enforces them, so the sink exposes them."""
    entry = {"url": "http://am", "timeout": "3s", "rate_limit": {"requests": 5, "per": "1m"}}
    sink = AlertmanagerSink(AlertmanagerConfig.model_validate(entry), CONTEXT)
    assert sink.rate is not None
    assert (sink.attempt_deadline, sink.rate.requests, sink.rate.per) == (3_000, 5, 60_000)


def test_a_resent_alert_has_its_new_end(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """Everything but the end is reused from the last post."""
    first = alert()
    sink.post_alerts([first], T0)
    sink.post_alerts([replace(first, ends_at=T0 + 2 * MINUTE)], T0)
    one, two = (got.json()[0] for got in receiver.requests)
    assert (one.pop("endsAt"), two.pop("endsAt")) == ("2023-11-14T22:14:20.000Z", "2023-11-14T22:15:20.000Z")
    assert one == two == {
        "labels": dict(first.labels),
        "annotations": {"summary": "x"},
        "startsAt": "2023-11-14T22:13:20.000Z",
        "generatorURL": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"annotations": {"summary": "y"}}, {"annotations": {"summary": "y"}}),
        ({"labels": {"alertname": "Other"}}, {"labels": {"alertname": "Other"}}),
        ({"starts_at": T0 - 1_000}, {"startsAt": "2023-11-14T22:13:19.000Z"}),
        ({"generator_url": "http://b/1"}, {"generatorURL": "http://b/1"}),
    ],
)
def test_whatever_changes_of_an_alert_is_in_the_next_post(
    sink: AlertmanagerSink, receiver: Receiver, change: dict[str, Any], shown: dict[str, Any]
) -> None:
    """Nothing is reused for an alert that has changed."""
    first = alert()
    sink.post_alerts([first], T0)
    sink.post_alerts([replace(first, **change)], T0)
    assert receiver.requests[1].json() == [receiver.requests[0].json()[0] | shown]


def test_two_alerts_with_one_mapping_are_two_alerts(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """The same labels, as one object, with other annotations: each is posted as it is."""
    first = alert()
    both = [first, replace(first, annotations={"summary": "y"})]
    for _ in range(2):
        sink.post_alerts(both, T0)
    assert [[item["annotations"]["summary"] for item in got.json()] for got in receiver.requests] == [["x", "y"]] * 2


def test_the_sink_keeps_nothing_of_what_is_not_posted_any_more(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """Memory is bounded by the last post."""
    texts = Texts(summary="x")
    seen = weakref.ref(texts)
    sink.post_alerts([replace(alert(), annotations=texts)], T0)
    del texts
    sink.post_alerts([alert(1)], T0)
    gc.collect()
    assert seen() is None
    assert len(receiver.requests) == 2


def test_several_requests_are_one_post(sink: AlertmanagerSink, receiver: Receiver) -> None:
    """Each is an alert of its own in it."""
    notifications = [firing(numbered(1)), firing(numbered(2))]
    assert sink.send_group(notifications, {"project": "shop"}, T0).result is Result.DELIVERED
    (got,) = receiver.requests
    assert [item["labels"]["retrain_request_id"] for item in got.json()] == [item.request.id for item in notifications]
