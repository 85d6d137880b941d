"""Alertmanager's webhook payload as a second way in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.coordinator.alertmanager import Notification, parse_notification
from bridge.coordinator.body import BodyError
from bridge.coordinator.records import Origin
from bridge.domain.model import ModelKey
from bridge.domain.request import RetrainRequest
from bridge.ports import request_alerts
from tests.support.coordinator import ID, NOON, alert, an_id, notification


def parse(*alerts: dict[str, Any], **changes: Any) -> Notification:
    return parse_notification(json.dumps(notification(*alerts, **changes)).encode())


def test_a_firing_alert_becomes_the_request_that_it_names() -> None:
    """Model and id come from labels, the reason from the description, the instant from startsAt."""
    [taken] = parse(alert()).submissions
    assert (taken.id, taken.project, taken.pipeline, taken.version) == (ID, "shop", "churn", "3")
    assert taken.reason == "drift 0.702 is above 0.6"
    assert taken.origin is Origin.ALERTMANAGER
    found = json.loads(taken.body)
    assert found["triggered_at"] == "2026-03-01T12:00:00Z"
    assert found["rule"] == "SustainedDrift"
    assert found["generator_url"] == "http://bridge/requests/1"


def test_the_alert_that_a_bridge_posts_is_understood() -> None:
    """The labels that the engine writes are the labels that are read here."""
    request = RetrainRequest(ModelKey("shop", "churn", "3"), "drift", NOON, ID, "Drift", NOON)
    made = request_alerts.requested(request, request_alerts.Sender("http://bridge"), starts_at=NOON, ends_at=NOON + 1)
    [taken] = parse(alert(labels=dict(made.labels), annotations=dict(made.annotations))).submissions
    assert (taken.id, taken.reason) == (ID, "drift (rule Drift, attempt 1).")


def test_a_held_request_is_not_run() -> None:
    """ModelRetrainHeld has the id of a request that must wait: running it would bypass every gate."""
    labels = {**alert()["labels"], "alertname": "ModelRetrainHeld"}
    found = parse(alert(labels=labels))
    assert found.submissions == ()
    assert found.ignored == {"other_alert": 1}


def test_what_requests_nothing_is_counted_by_reason() -> None:
    found = parse(
        alert(status="resolved"),
        alert(labels={"alertname": "HostDown"}),
        alert(labels={**alert()["labels"], "version": ""}),
        alert(an_id(7)),
        truncatedAlerts=4,
    )
    assert [item.id for item in found.submissions] == [an_id(7)]
    assert found.ignored == {"truncated": 4, "resolved": 1, "no_request_id": 1, "invalid": 1}
    assert found.mistakes == (("alerts[2].labels.version", "must not be empty"),)


def test_a_bad_id_is_named_by_its_label() -> None:
    found = parse(alert("not-hex"))
    assert [field for field, _ in found.mistakes] == ["alerts[0].labels.retrain_request_id"]


def test_an_alert_that_is_too_large_is_ignored() -> None:
    found = parse(alert(annotations={"description": "x" * 70_000}))
    assert found.ignored == {"invalid": 1}
    assert "larger than" in found.mistakes[0][1]


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [({"summary": "S"}, "S"), ({"description": "", "summary": "S"}, "S"), ({}, "alert ModelRetrainRequested")],
)
def test_the_reason_falls_back_to_what_there_is(annotations: dict[str, str], reason: str) -> None:
    assert parse(alert(annotations=annotations)).submissions[0].reason == reason


def test_keys_of_newer_senders_are_ignored() -> None:
    assert len(parse(alert(notification_reason="new"), routeLabels={"a": "b"}).submissions) == 1


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({"version": "3", "alerts": []}, ["version"]),
        ({"version": "4"}, ["alerts"]),
        ({"version": "4", "alerts": {}}, ["alerts"]),
        ({"version": "4", "alerts": [{"status": "odd", "labels": {}}]}, ["alerts[0].status"]),
        ({"version": "4", "alerts": [{"status": "firing", "labels": {"a": 1}}]}, ["alerts[0].labels.a"]),
    ],
)
def test_another_payload_is_an_error_that_names_the_field(sent: Any, fields: list[str]) -> None:
    with pytest.raises(BodyError) as caught:
        parse_notification(json.dumps(sent).encode())
    assert [field for field, _ in caught.value.fields] == fields
