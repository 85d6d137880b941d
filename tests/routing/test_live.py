"""The shipped example in a real Alertmanager: grouping, silence, inhibition, repeat, the message itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.processes import wait_until
from tests.support.routing import Desk, desk, ids

MODEL: dict[str, Any] = {"project": "shop", "pipeline": "ranking", "version": "7"}


def texts(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Title and text of messages to people."""
    return [(item["attachments"][0]["title"], item["attachments"][0]["text"]) for item in messages]


def muted(at: Desk, count: int = 1) -> None:
    """Wait until Alertmanager says that so many alerts are muted."""
    wait_until(
        lambda: sum(alert["status"]["state"] == "suppressed" for alert in at.server.alerts()) == count, 10, "muted"
    )


def test_pipelines_get_single_requests_and_operators_get_groups() -> None:
    """Two versions of one pipeline: two messages to the coordinator, one to people that tells of both."""
    with desk(group_wait="1s") as at:
        at.request("id-1")
        at.request("id-2", version="8")
        machine = at.wait("coordinator", 2)
        assert sorted(ids(message)[0] for message in machine) == ["id-1", "id-2"]
        assert [len(message["alerts"]) for message in machine] == [1, 1]
        ((title, text),) = texts(at.wait("people"))
        assert title == "[2 FIRING] ModelRetrainRequested shop/ranking"
        assert "*shop/ranking/7*" in text
        assert "*shop/ranking/8*" in text


def test_each_pipeline_of_each_project_is_notified_on_its_own() -> None:
    """People are grouped by project and pipeline."""
    with desk() as at:
        at.request("id-1")
        at.request("id-2", project="bank")
        at.request("id-3", pipeline="search", version="2")
        titles = [title for title, _ in texts(at.wait("people", 3))]
        assert sorted(titles) == [
            "[1 FIRING] ModelRetrainRequested bank/ranking/7", "[1 FIRING] ModelRetrainRequested shop/ranking/7",
            "[1 FIRING] ModelRetrainRequested shop/search/2",
        ]  # fmt: skip


def test_a_message_has_reason_start_and_link() -> None:
    """One request, and its end."""
    with desk() as at:
        at.request()
        (message,) = at.wait("people")
        said = message["attachments"][0]["text"]
        lines = said.strip().splitlines()
        assert lines[:2] == ["*shop/ranking/7*: ModelRetrainRequested summary", "drift 0.7 above 0.6"]
        assert lines[2].startswith("Since 20")
        assert lines[2].endswith(" UTC, request id-1: <http://bridge/r/1|details>")
        assert len(lines) == 3
        assert message["attachments"][0]["title_link"] == "http://bridge/r/1"
        at.post(
            "ModelRetrainRequested", seconds=0, rule="Drifted", retrain_request_id="id-1", **MODEL,
        )  # fmt: skip
        (_, (title, text)) = texts(at.wait("people", 2))
        assert title == "[RESOLVED] ModelRetrainRequested shop/ranking/7"
        assert text.startswith("*shop/ranking/7* resolved: ")
        at.request("id-2")
        assert [ids(item) for item in at.wait("coordinator", 2)] == [["id-1"], ["id-2"]], "an end ends no run"


def test_a_held_request_has_its_gate_and_its_end() -> None:
    """And somebody who can approve is told, not everybody."""
    with desk() as at:
        remarks = {"reason": "approval", "until": "2099-01-01T00:00:00Z"}
        at.post("ModelRetrainAwaitingApproval", remarks=remarks, retrain_request_id="id-1", **MODEL)
        ((_, text),) = texts(at.wait("approvers"))
        assert text.splitlines()[2:4] == ["Held by: approval", "Expected until: 2099-01-01T00:00:00Z"]
        assert sorted(at.told()) == ["approvers"]


def test_a_silence_holds_a_request_and_its_end_sends_it() -> None:
    """The freeze switch: nothing for the machine while it lasts, then the same request, once."""
    with desk() as at:
        at.silence(3)
        at.request()
        muted(at)
        assert at.told() == {}
        (message,) = at.wait("coordinator")
        assert ids(message) == ["id-1"]
        assert message["alerts"][0]["status"] == "firing"


def test_a_model_has_no_further_request_while_its_retraining_runs() -> None:
    """Muted for that version alone; sent when the retraining is over."""
    with desk() as at:
        at.post("ModelRetrainInProgress", severity="none", **MODEL)
        wait_until(lambda: at.server.alerts(), 10, "the retraining that runs")
        at.request("id-1")
        at.request("id-2", version="8")
        muted(at)
        assert ids(at.wait("coordinator")[0]) == ["id-2"]
        at.post("ModelRetrainInProgress", severity="none", seconds=0, **MODEL)
        assert [ids(message) for message in at.wait("coordinator", 2)] == [["id-2"], ["id-1"]]
        assert at.told()["nobody"] == []


def test_a_retraining_without_the_labels_of_a_model_mutes_nothing() -> None:
    """Labels that are missing on both sides would count as equal."""
    with desk() as at:
        at.post("ModelRetrainInProgress", severity="none")
        wait_until(lambda: at.server.alerts(), 10, "an alert without a model")
        at.post("ModelRetrainRequested", retrain_request_id="id-1")
        assert ids(at.wait("coordinator")[0]) == ["id-1"]


def test_an_open_request_is_repeated_to_the_machine_under_its_id() -> None:
    """A coordinator that lost it gets it again; it takes an id once."""
    with desk(repeat_interval="1s") as at:
        at.request()
        assert [ids(message) for message in at.wait("coordinator", 3)[:3]] == [["id-1"]] * 3


def test_the_bridges_health_reaches_its_operators_alone() -> None:
    """With its runbook."""
    with desk() as at:
        runbook = {"runbook_url": "https://docs.example.org/runbooks/RetrainBridgeDeliveriesDead/"}
        at.post("RetrainBridgeDeliveriesDead", remarks=runbook, job="retrain-bridge", receiver="team")
        ((title, text),) = texts(at.wait("bridge-operators"))
        assert title == "[1 FIRING] RetrainBridgeDeliveriesDead"
        assert text.startswith("*RetrainBridgeDeliveriesDead*: RetrainBridgeDeliveriesDead summary")
        assert text.strip().endswith("Runbook: https://docs.example.org/runbooks/RetrainBridgeDeliveriesDead/")
        assert sorted(at.told()) == ["bridge-operators"]


def test_send_test_shows_the_route_and_retrains_nothing(tmp_path: Path) -> None:
    """The verify command of docs/routing.md, as a user runs it."""
    with desk() as at:
        config = {
            "prometheus": {"url": "http://127.0.0.1:9"}, "route": {"receiver": "alertmanager"}, "rule_files": [],
            "receivers": [{"name": "alertmanager", "alertmanager_configs": [{"url": at.server.url}]}],
        }  # fmt: skip
        (tmp_path / "bridge.yml").write_text(json.dumps(config))
        command = [sys.executable, "-m", "bridge.cli", "send-test", "--receiver=alertmanager"]
        done = subprocess.run(
            [*command, f"--config.file={tmp_path / 'bridge.yml'}"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        ((title, text),) = texts(at.wait("people"))
        assert title == "[1 FIRING] ModelRetrainRequested retrain-bridge-test/send-test/0"
        assert "nothing is to be retrained" in text
        at.request()
        assert ids(at.wait("coordinator")[0]) == ["id-1"]
        assert len(at.told()["coordinator"]) == 1
