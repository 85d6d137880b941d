"""What people see and do: alerts in a real Alertmanager, its silences, approval and pauses by the command line."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bridge.domain.times import rfc3339
from tests.support.bridge import REMOTE_WRITE, Bridge, bridge, drift_rules, steps, whole_second, write_script
from tests.support.processes import wait_until
from tests.support.receiver import Receiver
from tests.support.servers import Alertmanager, Prometheus, alertmanager, http, prometheus

SECOND = 1000
MODEL = ("shop", "ranking", "7")


def script(source: Prometheus) -> int:
    """Let MODEL drift in two seconds, for longer than any test waits; return the first breached slot."""
    begins = whole_second(2)
    over = begins + 600 * SECOND
    write_script(source, {MODEL: steps(begins - 5 * SECOND, over, [(begins, over)])})
    return begins


def names(target: Alertmanager) -> dict[str, dict[str, Any]]:
    """The alerts that are open there, by name."""
    return {alert["labels"]["alertname"]: alert for alert in target.alerts()}


def cli(process: Bridge, *arguments: str) -> str:
    command = [sys.executable, "-m", "bridge.cli", *arguments, f"--bridge.url={process.url}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_alert_rule_notifies_and_resolves(tmp_path: Path) -> None:
    """Slow while drift is healthy: an alert of its own name in Alertmanager, no request; then it is resolved.

    It stays slow until the alert was seen: Prometheus takes the last sample for five minutes.
    """
    slow = {"signal": "latency", "strategy": {"threshold": {"max": 0.6}}}
    rules = drift_rules()
    (group,) = rules["groups"]
    group["signals"]["latency"] = {"event": "latency", "unit": "seconds", "expr": "model_latency_seconds"}
    told = {"alert": "SlowButHealthy", "all": [slow, {"signal": "drift", "healthy": True}], "labels": {"to": "ops"}}
    group["rules"].append({**told, "annotations": {"summary": "{{ $labels.pipeline }} is slow"}})
    with prometheus(flags=[REMOTE_WRITE]) as source, alertmanager() as target:
        begins = whole_second()
        write_script(source, {MODEL: [(begins, 0.9)]}, "model_latency_seconds")
        write_script(source, {MODEL: steps(begins, begins + 600 * SECOND, [])})
        with bridge(source.url, rules, {"alertmanager_configs": [{"url": target.url}]}) as process:
            process.start()
            wait_until(lambda: "SlowButHealthy" in names(target), 20, "the alert")
            alert = names(target)["SlowButHealthy"]
            assert alert["labels"] == {
                "alertname": "SlowButHealthy", "to": "ops", "project": "shop", "pipeline": "ranking", "version": "7",
            }  # fmt: skip
            assert alert["annotations"] == {"summary": "ranking is slow"}
            write_script(source, {MODEL: [(whole_second(), 0.1)]}, "model_latency_seconds")
            wait_until(lambda: names(target) == {}, 20, "its end")
            assert process.requests() == []
            (rule,) = [item for item in process.api("rules")["groups"][0]["rules"] if item["name"] == "SlowButHealthy"]
            assert rule["state"] == "inactive"


def test_a_silence_of_alertmanager_holds_a_request_until_it_is_expired(tmp_path: Path) -> None:
    """Set before the model drifts; expired by a person, the request goes within seconds."""
    with prometheus(flags=[REMOTE_WRITE]) as source, alertmanager() as target:
        body = {
            "matchers": [{"name": "pipeline", "value": "ranking", "isRegex": False, "isEqual": True}],
            "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "ada", "comment": "c",
        }  # fmt: skip
        status, text = http("POST", f"{target.url}/api/v2/silences", body)
        assert status == 200, text
        script(source)
        with bridge(source.url, drift_rules(), {"alertmanager_configs": [{"url": target.url}]}) as process:
            process.start()
            wait_until(lambda: [item for item in process.requests() if item["hold"] == "silenced"], 20, "a hold")
            (held,) = process.requests()
            assert held["hold_until"] == "2099-01-01T00:00:00.000Z"
            assert process.request(held["id"])["deliveries"] == []
            assert http("DELETE", f"{target.url}/api/v2/silence/{json.loads(text)['silenceID']}")[0] == 200
            wait_until(lambda: process.requests()[0]["state"] == "requested", 40, "its release")
            wait_until(lambda: "ModelRetrainRequested" in names(target), 20, "the alert")


def test_an_operator_approves_on_the_command_line_what_alertmanager_requested(tmp_path: Path) -> None:
    """ModelRetrainAwaitingApproval until somebody says yes; who did is in the request; then the usual alert."""
    with prometheus(flags=[REMOTE_WRITE]) as source, alertmanager() as target:
        script(source)
        rules = drift_rules(approval="required")
        with bridge(source.url, rules, {"alertmanager_configs": [{"url": target.url}]}) as process:
            process.start()
            wait_until(lambda: "ModelRetrainAwaitingApproval" in names(target), 20, "the alert")
            (waiting,) = process.requests()
            assert (waiting["state"], waiting["hold"]) == ("awaiting_approval", "approval")
            said = cli(process, "requests", "approve", waiting["id"], "--by=ada", "--note=labels are fresh")
            assert said == f"{waiting['id']}: requested\n"
            assert [(act["what"], act["who"], act["note"]) for act in process.requests()[0]["acts"]] == [
                ("approve", "ada", "labels are fresh")
            ]
            wait_until(lambda: set(names(target)) == {"ModelRetrainRequested"}, 20, "the alerts to follow")


def test_a_pause_outlives_kill_9_and_ends_by_a_word(tmp_path: Path) -> None:
    """Held as `paused`; after `resume` it goes under the same id."""
    with (
        prometheus(flags=[REMOTE_WRITE]) as source,
        alertmanager() as target,
        bridge(source.url, drift_rules(), {"alertmanager_configs": [{"url": target.url}]}) as process,
    ):
        process.start()
        assert cli(process, "pause", "--for=1h", "--by=ada", "--all", "--note=move").endswith(": everything\n")
        script(source)
        wait_until(lambda: [item for item in process.requests() if item["hold"] == "paused"], 20, "a hold")
        process.kill()
        process.start()
        assert [item["who"] for item in process.api("pause")["pauses"]] == ["ada"]
        (held,) = process.requests()
        assert held["state"] == "held"
        assert cli(process, "resume", "--by=ada") == "resumed: everything\n"
        wait_until(lambda: process.requests()[0]["state"] == "requested", 20, "its release")
        assert process.requests()[0]["id"] == held["id"]
        made = cli(
            process, "requests", "create", "--project=shop", "--pipeline=search", "--version=2",
            "--reason=by hand", "--by=ada", "--force",
        )  # fmt: skip
        assert made.endswith(": closed: sent, and no receiver reports its end\n")  # an Alertmanager never does


def test_explain_shows_present_and_past_decisions(tmp_path: Path) -> None:
    """Now from the engine, then from Prometheus' history; its curl command repeats the query."""
    with prometheus(flags=[REMOTE_WRITE]) as source, alertmanager() as target:
        begins = script(source)
        with bridge(source.url, drift_rules(), {"alertmanager_configs": [{"url": target.url}]}) as process:
            process.start()
            wait_until(process.requests, 20, "a request")
            said = cli(process, "explain", "shop/ranking/7")
            assert "yes verdict: breached: drift 0.9 above 0.6\n" in said
            assert f"a request was made: {process.requests()[0]['id']}: requested, attempt 1, " in said
            then = cli(process, "explain", "shop/ranking/7", f"--at={rfc3339(begins - SECOND)}", "--output=json")
            (found,) = json.loads(then)
            assert (found["recomputed"], found["answer"]) == (True, "verdict: ok: drift 0.1, limit 0.6")
            program, _, url, *data = shlex.split(found["repeat"][0])
            form = "&".join(quote(text, safe="=") for text in data[1::2])
            assert (program, data[::2]) == ("curl", ["--data-urlencode"] * 2)
            result = json.loads(http("GET", f"{url}?{form}")[1])["data"]["result"]
            assert [item["value"][1] for item in result] == ["0.1"]


def test_bundled_requests_reach_a_webhook_in_one_message(tmp_path: Path) -> None:
    """Two models of one project drift within a window of ten seconds: one POST, two alerts."""
    other = ("shop", "search", "2")
    with prometheus(flags=[REMOTE_WRITE]) as source, Receiver() as hook:
        begins = whole_second(3)
        write_script(
            source,
            {
                model: steps(begins - 5 * SECOND, begins + 600 * SECOND, [(begins, begins + 600 * SECOND)])
                for model in (MODEL, other)
            },
        )
        with bridge(source.url, drift_rules(), {"webhook_configs": [{"url": hook.url}]}) as process:
            config = json.loads(process.config_file.read_text())
            config["route"] = {"receiver": "team", "group_by": ["project"], "group_wait": "10s"}
            process.config_file.write_text(json.dumps(config))
            process.start()
            wait_until(lambda: hook.requests, 40, "the message")
            body = hook.requests[0].json()
            assert body["groupLabels"] == {"project": "shop"}
            assert [item["labels"]["pipeline"] for item in body["alerts"]] == ["ranking", "search"]
            wait_until(lambda: not process.pending(), 10, "both to be delivered")
            assert len(hook.requests) == 1
