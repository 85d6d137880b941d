"""HTTP API of the coordinator, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.coordinator.body import MAX_BODY
from bridge.domain.errors import StoreFullError
from tests.coordinator.conftest import Start
from tests.support.coordinator import (
    ALERTS,
    ID,
    REQUESTS,
    alert,
    an_id,
    body,
    notification,
)
from tests.support.processes import wait_until

PROBLEM = "application/problem+json"


def test_a_request_is_accepted_and_named(start: Start) -> None:
    _, client = start()
    answer = client.submit()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"{REQUESTS}/{ID}")
    found = answer.json()
    assert {key: found[key] for key in ("id", "state", "reference", "message", "new_version")} == {
        "id": ID,
        "state": "accepted",
        "reference": "run-1",
        "message": "recorded only: no command is configured",
        "new_version": "",
    }
    assert found["updated_at"] == found["received_at"]
    assert (found["started_at"], found["ended_at"]) == (None, None)
    assert client.call("GET", f"{REQUESTS}/{ID}/body").json() == {**body(), "generator_url": ""}


def test_a_repeated_key_gets_the_present_record(start: Start, tmp_path: Path) -> None:
    """200 instead of 202, and one run."""
    _, client = start(command=["sh", "-c", f'echo run >> {tmp_path}/runs; echo \'{{"new_version": "4"}}\''])
    assert client.submit().status_code == 202
    done = client.wait_for("succeeded")
    answer = client.submit()
    assert (answer.status_code, answer.json()) == (200, {**done, "repeats": 1})
    assert (done["new_version"], done["reference"]) == ("4", "run-1")
    assert (tmp_path / "runs").read_text() == "run\n"


def test_a_key_from_twenty_threads_at_once_is_one_run(start: Start, tmp_path: Path) -> None:
    """One 202, nineteen 200, one line from the command."""
    _, client = start(command=["sh", "-c", f"echo run >> {tmp_path}/runs"])
    barrier, statuses = threading.Barrier(20), []

    def submit() -> None:
        with type(client)(client.url) as own:
            barrier.wait()
            statuses.append(own.submit().status_code)

    threads = [threading.Thread(target=submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 19 + [202]
    assert client.wait_for("succeeded")["repeats"] == 19
    assert (tmp_path / "runs").read_text() == "run\n"
    assert client.metric('retrain_bridge_coordinator_received_total{origin="api",result="known"}') == 19


def test_a_key_of_another_model_is_a_conflict(start: Start) -> None:
    _, client = start()
    client.submit()
    answer = client.submit(version="4")
    assert (answer.status_code, answer.headers["Content-Type"]) == (409, PROBLEM)
    assert answer.json()["detail"] == f"id {ID} belongs to a request for shop/churn/3"


def test_a_repeated_body_that_differs_is_logged_and_changes_nothing(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    _, client = start()
    client.submit()
    answer = client.submit(reason="other", late=True)
    assert (answer.status_code, answer.json()["reason"]) == (200, "drift 0.702 is above 0.6")
    [record] = [
        item for item in caplog.records if item.message == "a known request was received again with different content"
    ]
    assert vars(record)["differs"] == ("late", "reason")


def test_a_wrong_body_is_400_with_the_fields(start: Start) -> None:
    _, client = start()
    answer = client.submit(version=3, labels={"a": 1})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)
    assert answer.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "the body is not a retrain request",
        "errorType": "bad_data",
        "errors": [
            {"field": "version", "message": "must be text, not a number"},
            {"field": "labels.a", "message": "must be text, not a number"},
        ],
    }
    assert client.metric('retrain_bridge_coordinator_received_total{origin="api",result="invalid"}') == 1


@pytest.mark.parametrize(
    ("headers", "found"), [({}, "is missing"), ({"Idempotency-Key": an_id(9)}, "is different")]
)  # fmt: skip
def test_the_key_must_be_the_id(start: Start, headers: dict[str, str], found: str) -> None:
    _, client = start()
    answer = client.call("POST", REQUESTS, json=body(), headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"the header Idempotency-Key must equal the id in the body; it {found}"
    assert client.call("GET", REQUESTS).json()["total"] == 0


def test_a_body_of_the_largest_size_is_accepted_and_a_larger_one_is_413(start: Start) -> None:
    _, client = start()
    room = MAX_BODY - len(json.dumps(body(reason="")).encode())
    assert client.submit(reason="x" * room).status_code == 202
    answer = client.submit(an_id(2), reason="x" * (room + 1))
    assert (answer.status_code, answer.json()["detail"]) == (413, f"the body is larger than {MAX_BODY} bytes")


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, {}]
)
def test_what_is_not_plain_json_is_415(start: Start, headers: dict[str, str]) -> None:
    _, client = start()
    answer = client.call("POST", REQUESTS, data=b"{}", headers={"Idempotency-Key": ID, **headers})
    assert (answer.status_code, answer.headers["Content-Type"]) == (415, PROBLEM)


def test_a_media_type_with_a_parameter_is_json(start: Start) -> None:
    _, client = start()
    assert client.submit(headers={"Content-Type": "application/json; charset=utf-8"}).status_code == 202


def test_a_list_is_paged_and_filtered(start: Start) -> None:
    _, client = start()
    for number, pipeline in enumerate(["churn", "fraud", "churn"], start=1):
        client.submit(an_id(number), pipeline=pipeline)
    found = client.call("GET", f"{REQUESTS}?pipeline=churn&limit=1&state=accepted").json()
    assert ([item["id"] for item in found["requests"]], found["total"]) == ([an_id(3)], 2)
    found = client.call("GET", f"{REQUESTS}?pipeline=churn&limit=1&offset=1&project=shop").json()
    assert [item["id"] for item in found["requests"]] == [an_id(1)]
    found = client.call("GET", f"{REQUESTS}?id={an_id(3)}&id={an_id(2)}&id={an_id(9)}&pipeline=churn").json()
    assert ([item["id"] for item in found["requests"]], found["total"]) == ([an_id(3)], 1)
    assert client.call("GET", f"{REQUESTS}?{'&'.join(['id=x'] * 101)}").status_code == 400


def test_a_wrong_parameter_is_400_and_named(start: Start) -> None:
    _, client = start()
    answer = client.call("GET", f"{REQUESTS}?limit=0&state=odd")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)
    assert [item["field"] for item in answer.json()["errors"]] == ["state", "limit"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{REQUESTS}/{an_id(9)}", 404),
        ("GET", f"{REQUESTS}/{an_id(9)}/body", 404),
        ("POST", f"{REQUESTS}/{an_id(9)}/cancel", 404),
        ("GET", "/nothing", 404),
        ("DELETE", REQUESTS, 405),
    ],
)
def test_every_error_is_a_problem(start: Start, method: str, path: str, status: int) -> None:
    _, client = start()
    answer = client.call(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM)
    assert answer.json()["status"] == status


def test_a_ledger_that_cannot_be_written_to_is_503_and_accepts_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bridge keeps the request and retries."""
    coordinator, client = start()

    def full(*_: object, **__: object) -> None:
        raise StoreFullError("the ledger: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(coordinator._ledger, "accept", full)
        answer = client.submit()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["detail"] == "the ledger: the disk is full"
        assert client.notify(alert()).status_code == 503
        patch.setattr(coordinator._ledger, "check", full)
        assert client.call("GET", "/-/ready").status_code == 503
    assert client.submit().status_code == 202


# ---------------------------------------------------------------- cancel


def test_what_waits_is_cancelled_at_once_and_never_runs(start: Start, tmp_path: Path) -> None:
    _, client = start(command=["sh", "-c", f"echo $RETRAIN_REQUEST_ID >> {tmp_path}/runs; sleep 60"])
    client.submit(an_id(1))
    client.submit(an_id(2))
    wait_until((tmp_path / "runs").exists, 10, "the first run")
    answer = client.cancel(an_id(2))
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert client.cancel(an_id(2)).status_code == 200
    assert client.cancel(an_id(1)).status_code == 202
    assert client.wait_for("cancelled", an_id(1))["message"] == "cancelled while running"
    assert (tmp_path / "runs").read_text() == an_id(1) + "\n"


def test_what_is_over_is_not_cancelled(start: Start) -> None:
    _, client = start(command=["true"])
    client.submit()
    client.wait_for("succeeded")
    answer = client.cancel()
    assert answer.status_code == 409
    assert answer.json()["detail"] == f"request {ID} is succeeded; only a waiting or running request can be cancelled"


def test_cancel_takes_no_body(start: Start) -> None:
    """The signed body of a submission must not pass as a signed cancellation."""
    _, client = start()
    client.submit()
    assert client.call("POST", f"{REQUESTS}/{ID}/cancel", json=body()).status_code == 400
    assert client.get()["state"] == "accepted"


# ---------------------------------------------------------------- alertmanager


@pytest.mark.parametrize("first", ["api", "alertmanager"])
def test_a_request_routed_both_ways_runs_once(start: Start, tmp_path: Path, first: str) -> None:
    """The first arrival creates the record."""
    _, client = start(command=["sh", "-c", f"echo run >> {tmp_path}/runs"])
    doors: list[Callable[[], Any]] = [lambda: client.submit().status_code, lambda: client.notify(alert()).json()]
    if first == "api":
        assert [door() for door in doors] == [202, {"accepted": [], "known": [ID], "ignored": {}, "errors": []}]
    else:
        assert [door() for door in reversed(doors)] == [
            {"accepted": [ID], "known": [], "ignored": {}, "errors": []},
            200,
        ]
    assert client.wait_for("succeeded")["origin"] == first
    assert (tmp_path / "runs").read_text() == "run\n"


def test_alerts_without_a_request_are_answered_200_and_counted(start: Start) -> None:
    _, client = start()
    client.submit(version="9")
    answer = client.notify(alert(status="resolved"), alert(labels={"alertname": "x"}), alert(), alert("bad"))
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": [],
        "known": [],
        "ignored": {"resolved": 1, "no_request_id": 1, "invalid": 1, "conflict": 1},
        "errors": [{"field": "alerts[3].labels.retrain_request_id", "message": "must match ^[0-9a-f]{32}$"}],
    }
    assert client.metric('retrain_bridge_coordinator_ignored_alerts_total{reason="resolved"}') == 1


@pytest.mark.parametrize(
    "sent", [b"", b"null", b"[]", b'"x"', b'{"version":"4"}', b'{"version":4,"alerts":[]}', b"\xff", b"[" * 100_000]
)
def test_a_notification_that_cannot_be_used_is_400_and_never_500(start: Start, sent: bytes) -> None:
    """A 5xx would make Alertmanager retry it forever."""
    _, client = start()
    answer = client.call("POST", ALERTS, data=sent, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)
    assert client.metric('retrain_bridge_coordinator_received_total{origin="alertmanager",result="invalid"}') == 1


# ---------------------------------------------------------------- management


def test_health_readiness_and_metrics(start: Start) -> None:
    _, client = start()
    assert client.call("GET", "/-/healthy").text == "Retrain Bridge coordinator is healthy.\n"
    assert client.call("GET", "/-/ready").text == "Retrain Bridge coordinator is ready.\n"
    client.submit()
    assert client.metric('retrain_bridge_coordinator_requests{state="accepted"}') == 1
    assert client.metric('retrain_bridge_coordinator_requests{state="lost"}') == 0
    assert client.metric('retrain_bridge_coordinator_received_total{origin="api",result="new"}') == 1
    assert client.metric("retrain_bridge_coordinator_reports_pending") == 0
    assert client.call("GET", "/metrics").headers["Content-Type"].startswith("text/plain")


def test_a_dead_dispatcher_is_not_ready(start: Start) -> None:
    coordinator, client = start(command=["true"])
    coordinator._runner.stop(0, 5)
    answer = client.call("GET", "/-/ready")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the thread that starts runs has died")


def test_the_helper_builds_a_valid_notification() -> None:
    """Guards the tests above: the helper's payload has the keys of Alertmanager's."""
    assert {"version", "groupKey", "status", "receiver", "alerts"} <= notification().keys()
