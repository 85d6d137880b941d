"""The real coordinator process with a real Alertmanager, and with the sink that a bridge sends by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

from bridge.coordinator.server import now
from bridge.domain.model import ModelKey
from bridge.domain.request import RequestState, RetrainRequest
from bridge.ports import Kind, Notification, Result
from bridge.sinks.base import SinkContext
from bridge.sinks.coordinator import CoordinatorSink
from tests.support.coordinator import ALERTS, ID, NOON, OTHER_SECRET, SECRET, TOKEN, alert, process
from tests.support.processes import wait_until
from tests.support.servers import alertmanager

REQUEST = RetrainRequest(ModelKey("shop", "churn", "3"), "drift", NOON, ID, "SustainedDrift", NOON)


def command(folder: Path) -> list[str]:
    return ["sh", "-c", f'echo run >> {folder}/runs; echo \'{{"new_version": "4"}}\'']


def sink(url: str, **settings: Any) -> CoordinatorSink:
    return CoordinatorSink(CoordinatorSink.Config.model_validate({"url": url, **settings}), SinkContext("main", 0))


def test_a_request_by_alertmanager_and_by_the_sink_runs_once(tmp_path: Path) -> None:
    """A bridge that routes one request to both: the coordinator makes one run of it and knows it by one id."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "secret").write_text(f"{OTHER_SECRET}\n{SECRET}\n")
    config: dict[str, Any] = {"command": command(tmp_path), "token_file": "../token", "secret_file": "../secret"}
    with process(tmp_path / "c", **config) as coordinator:
        hook = {
            "url": coordinator.client.url + ALERTS,
            "send_resolved": True,
            "http_config": {"authorization": {"credentials": TOKEN}},
        }
        route = {"receiver": "coordinator", "group_wait": "50ms", "group_interval": "1s"}
        receivers = [{"name": "coordinator", "webhook_configs": [hook]}]
        with alertmanager(json.dumps({"route": route, "receivers": receivers})) as real:
            posted = [{key: alert()[key] for key in ("labels", "annotations")}]
            requests.post(f"{real.url}/api/v2/alerts", json=posted, timeout=60).raise_for_status()
            found = coordinator.client.wait_for("succeeded")
            assert (found["origin"], found["new_version"]) == ("alertmanager", "4")
            own = sink(coordinator.client.url, secret=SECRET)
            delivery = own.send(Notification(REQUEST, Kind.FIRING, NOON, NOON), now())
            own.close()
            assert (delivery.result, delivery.status, delivery.reference) == (Result.DELIVERED, 200, "run-1")
            posted[0]["endsAt"] = "2020-03-01T12:00:01Z"
            posted[0]["startsAt"] = "2020-03-01T12:00:00Z"
            requests.post(f"{real.url}/api/v2/alerts", json=posted, timeout=60).raise_for_status()
            ignored = 'retrain_bridge_coordinator_ignored_alerts_total{reason="resolved"}'
            wait_until(lambda: coordinator.client.metric(ignored) >= 1, 15, "the resolved notification")
    assert (tmp_path / "runs").read_text() == "run\n"


def test_a_sink_sends_signs_and_polls(tmp_path: Path) -> None:
    """The whole conversation between the two sides of the wire."""
    (tmp_path / "secret").write_text(SECRET)
    with process(tmp_path / "c", command=command(tmp_path), secret_file="../secret") as coordinator:
        stranger, own = sink(coordinator.client.url), sink(coordinator.client.url, secret=SECRET)
        notification = Notification(REQUEST, Kind.FIRING, NOON, NOON)
        assert stranger.send(notification, now()).result is Result.DENIED
        assert own.status(ID, now()) is None
        first, second = own.send(notification, now()), own.send(notification, now())
        assert [(item.result, item.status, item.reference) for item in (first, second)] == [
            (Result.DELIVERED, 202, "run-1"),
            (Result.DELIVERED, 200, "run-1"),
        ]
        coordinator.client.wait_for("succeeded")
        report = own.status(ID, now())
        stranger.close()
        own.close()
    assert report is not None
    assert (report.request_id, report.state, report.new_version) == (ID, RequestState.SUCCEEDED, "4")
    assert (tmp_path / "runs").read_text() == "run\n"
