"""The webhook sink: Alertmanager's payload, version 4."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from pydantic import ValidationError

from bridge.ports import Result
from bridge.sinks.base import SinkContext
from bridge.sinks.webhook import WebhookConfig, WebhookSink, fingerprint
from tests.support.notifications import REQUEST, T0, firing, numbered, resolved
from tests.support.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"fedcba9876543210fedcba9876543210").decode()
LABELS = {
    "alertname": "ModelRetrainRequested",
    "project": "shop",
    "pipeline": "ranking",
    "version": "7",
    "rule": "DriftHigh",
    "retrain_request_id": REQUEST.id,
    "severity": "page",
}
ANNOTATIONS = {
    "summary": "Retraining requested for shop/ranking/7",
    "description": "drift 0.702 is above 0.6 (rule DriftHigh, attempt 1).",
    "runbook": "https://wiki.example/drift",
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def sink_for(receiver: Receiver, base_dir: Path = Path(), **entry: Any) -> WebhookSink:
    config = WebhookConfig.model_validate({"url": f"{receiver.url}/hook?team=a", **entry})
    return WebhookSink(config, SinkContext("oncall", 0, "http://bridge.example", {}, base_dir))


def test_the_payload_is_alertmanagers_version_4(receiver: Receiver) -> None:
    """Every key that Alertmanager writes, with its values for a group of one firing alert."""
    sink = sink_for(receiver)
    assert sink.send(firing(), T0).result is Result.DELIVERED
    sink.close()
    got = receiver.requests[0]
    assert (got.method, got.path, got.headers["idempotency-key"]) == ("POST", "/hook?team=a", REQUEST.id)
    assert "webhook-signature" not in got.headers
    assert got.json() == {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="ModelRetrainRequested", retrain_request_id="{REQUEST.id}"}}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "oncall",
        "groupLabels": {"alertname": "ModelRetrainRequested", "retrain_request_id": REQUEST.id},
        "commonLabels": LABELS,
        "commonAnnotations": ANNOTATIONS,
        "externalURL": "http://bridge.example",
        "alerts": [
            {
                "status": "firing",
                "labels": LABELS,
                "annotations": ANNOTATIONS,
                "startsAt": "2023-11-14T22:13:20.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": f"http://bridge.example/requests/{REQUEST.id}",
                "fingerprint": fingerprint(LABELS),
            }
        ],
    }


def test_the_end_of_an_episode_is_a_message_of_its_own(receiver: Receiver) -> None:
    """Resolved, with the end of the episode, under another key: the same key would be dropped as a repeat."""
    sink = sink_for(receiver)
    sink.send(resolved(), T0)
    sink.close()
    got = receiver.requests[0]
    assert got.headers["idempotency-key"] == f"{REQUEST.id}-resolved"
    assert (got.json()["status"], got.json()["alerts"][0]["status"]) == ("resolved", "resolved")
    assert got.json()["alerts"][0]["endsAt"] == "2023-11-14T22:23:20.000Z"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"alertname": "GOOD"}, "aac5f95f0f6a987b"),
        ({}, "cbf29ce484222325"),
    ],
)
def test_the_fingerprint_is_alertmanagers(labels: dict[str, str], expected: str) -> None:
    """Receivers can match our alerts with those of Alertmanager."""
    assert fingerprint(labels) == expected


def test_the_fingerprint_does_not_depend_on_the_order_of_labels() -> None:
    """A label set has no order."""
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "12", "b": ""})


def test_resolved_parcels_are_wanted_unless_switched_off(receiver: Receiver) -> None:
    """As Alertmanager's `send_resolved`, true by default."""
    assert sink_for(receiver).sends_resolved
    assert not sink_for(receiver, send_resolved=False).sends_resolved


@pytest.mark.parametrize("entry", [{"secret": SECRET}, {"secrets": [OTHER, SECRET]}])
def test_a_signed_webhook_verifies_with_the_reference_library(receiver: Receiver, entry: dict[str, Any]) -> None:
    """Standard Webhooks: id, timestamp of the attempt and body are signed, with every secret during a rotation."""
    sink = sink_for(receiver, **entry)
    now = 1_700_000_123_456
    sink.send(firing(), now)
    sink.close()
    got = receiver.requests[0]
    assert (got.headers["webhook-id"], got.headers["webhook-timestamp"]) == (REQUEST.id, "1700000123")
    hook = standardwebhooks.Webhook(SECRET)
    signed = hook.sign(REQUEST.id, _moment(now), got.body.decode())
    assert signed in got.headers["webhook-signature"].split(" ")


def _moment(now: int) -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(now // 1000, UTC)


def test_a_secret_file_is_read_at_every_use(receiver: Receiver, tmp_path: Path) -> None:
    """A rotated secret applies at once; while the file is missing, nothing is sent unsigned."""
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    sink = sink_for(receiver, tmp_path, secret_file="secret")
    sink.send(firing(), T0)
    path.write_text(f"{OTHER}\n{SECRET}\n")
    sink.send(firing(), T0)
    path.unlink()
    missing = sink.send(firing(), T0)
    path.write_text(" \n")
    empty = sink.send(firing(), T0)
    path.write_text("rubbish")
    wrong = sink.send(firing(), T0)
    sink.close()
    assert [len(got.headers["webhook-signature"].split(" ")) for got in receiver.requests] == [1, 2]
    assert {(item.result, item.reason) for item in (missing, empty, wrong)} == {(Result.RETRY, "credential")}
    assert missing.answer == "cannot use secret_file: No such file or directory"
    assert empty.answer == "secret_file is empty"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"secret": "whsec_short"}, "secret"),
        ({"secret": SECRET, "secret_file": "x"}, "at most one of secret, secret_file and secrets"),
        ({"max_alerts": 3}, "Extra inputs are not permitted"),
        ({"http_config": {"follow_redirects": True}}, "follow_redirects"),
    ],
)
def test_a_wrong_entry_is_refused(entry: dict[str, Any], message: str) -> None:
    """Each error is reported when the file is loaded."""
    with pytest.raises(ValidationError, match=message):
        WebhookConfig.model_validate({"url": "http://hook.example", **entry})


def test_a_secret_is_never_shown() -> None:
    """Neither in a traceback nor in a log of the configuration."""
    config = WebhookConfig.model_validate({"url": "http://hook.example", "secret": SECRET})
    assert SECRET not in repr(config)
    assert SECRET not in str(config.model_dump())


def test_several_requests_are_one_group_with_a_key_of_their_own(receiver: Receiver) -> None:
    """Common labels are those of all alerts; the key does not depend on their order."""
    sink = sink_for(receiver)
    notifications = [firing(numbered(1)), firing(numbered(2))]
    for together in (notifications, notifications[::-1]):
        assert sink.send_group(together, {"project": "shop"}, T0).result is Result.DELIVERED
    sink.close()
    first, second = receiver.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.headers["idempotency-key"] not in {notification.request.id for notification in notifications}
    got = first.json()
    assert (got["status"], got["groupLabels"], got["groupKey"]) == (
        "firing",
        {"project": "shop"},
        '{}:{project="shop"}',
    )
    assert [item["labels"]["pipeline"] for item in got["alerts"]] == ["pipeline-1", "pipeline-2"]
    assert got["commonLabels"] == {
        name: LABELS[name] for name in ("alertname", "project", "version", "rule", "severity")
    }
