"""Console output of scripts/demo, from the servers' own APIs.

With --once it exits on its own, with code 0 if exactly one request reached both the coordinator (or Prefect) and
Alertmanager under one id within 60 seconds (180).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from demo_pipelines import EmbeddedCoordinator, PrefectFlow
from demo_servers import DRIFTING, DemoError, Servers, console, get, say

CALM_SECONDS = 8.0
CALM = {"healthy", "cooldown", "replaced"}  # states of models that need no attention


class Report:
    """Events of the demo, one line each, without repetition."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._reported: set[str] = set()

    def run(self, *, once: bool) -> bool:
        """Report events until interrupted; with `once`, until one request is delivered and done, or the time limit.

        Return whether exactly one request reached both receivers.
        """
        say("models", f"all healthy; {'/'.join(DRIFTING)} starts to drift in {CALM_SECONDS:g} s", "green")
        self._servers.models.drift_at = time.time() + CALM_SECONDS
        deadline = time.monotonic() + self._servers.pipeline.limit
        while not once or (not {"alert", "end"} <= self._reported and time.monotonic() < deadline):
            self._poll()
            time.sleep(0.25)
        return self._result()

    def _once(self, key: str, what: str, text: str, style: str = "") -> None:
        if key not in self._reported:
            self._reported.add(key)
            say(what, text, style)

    def _data(self, path: str) -> Any:
        answer = get(f"{self._servers.bridge}/api/v1/{path}")
        return answer["data"] if answer else {}

    def _poll(self) -> None:
        if time.time() > self._servers.models.drift_at:
            self._once("drift", "models", f"{'/'.join(DRIFTING)} drifts", "yellow")
        models = self._data("models").get("models", [])
        for model in models:
            self._report_model(model)
        if "recovered" in self._reported and models and {item["state"] for item in models} <= CALM:
            self._once("calm", "models", "all healthy again; Ctrl-C ends the demo", "bold green")
        for decision in reversed(self._data("decisions").get("decisions", [])):
            key = f"decision {decision['slot']} {decision['rule']} {decision['pipeline']} {decision['outcome']}"
            change = f"{decision['before']} -> {decision['after']}"
            self._once(key, "decision", f"{change}: {decision['reason']}; request: {decision['outcome']}", "magenta")
        for request in self._data("requests").get("requests", []):
            self._report_request(request["id"])
        self._report_alerts()

    def _report_model(self, model: dict[str, Any]) -> None:
        name = f"{model['project']}/{model['pipeline']}/{model['version']}"
        for item in model["signals"]:
            if item["verdict"] == "breached":
                text = f"{name}: {item['event']} event, value {float(item['value']):.3f}, limit {item['threshold']}"
                self._once(f"event {name} {item['at']}", "event", f"{text} -> {item['verdict']}")

    def _report_request(self, request_id: str) -> None:
        request = self._data(f"requests/{request_id}")
        if not request:
            return
        model = f"{request['project']}/{request['pipeline']}/{request['version']}"
        self._once(f"request {request_id}", "request", f"{request_id} for {model}: {request['reason']}", "bold")
        for item in request["deliveries"]:
            key = f"{item['id']} {item['state']} {item['attempts']}"
            if item["state"] == "retry":
                text = f"{item['destination']} answered {item['status']}; the next attempt follows Retry-After"
                self._once(key, "retry", text, "yellow")
            elif item["state"] == "delivered":
                text = f"to {item['destination']}, attempt {item['attempts']} (HTTP {item['status']})"
                self._once(key, "delivered", text, "green")
        if request["state"] in {"accepted", "running", "succeeded", "failed"}:
            extra = f", new version {request['new_version']}" if request["new_version"] else ""
            self._once(
                f"{request_id} {request['state']}", self._servers.pipeline.name, f"{request['state']}{extra}", "green"
            )
            if request["state"] in {"succeeded", "failed"}:
                self._reported.add("end")
            if request["new_version"] and not self._servers.models.new_version:
                self._servers.models.new_version = request["new_version"]
                say("models", f"{'/'.join(DRIFTING[:2])} serves version {request['new_version']}", "yellow")
        if request["verdict"]:
            page = f"{self._servers.bridge}/requests/{request_id}"
            text = f"{request['verdict'].replace('_', ' ')}; {page}"
            self._once(f"{request_id} recovery", "recovery", text, "bold green")
            self._reported.add("recovered")

    def _report_alerts(self) -> None:
        for alert in get(f"{self._servers.alertmanager}/api/v2/alerts") or []:
            labels = alert["labels"]
            if labels.get("alertname") == "ModelRetrainRequested":
                text = f"{labels['alertname']} {labels['retrain_request_id']}: {alert['annotations']['summary']}"
                self._once(f"alert {labels['retrain_request_id']}", "alert", text, "green")
                self._reported.add("alert")

    def _result(self) -> bool:
        """Return whether exactly one request reached both receivers under one id."""
        ours = [item["id"] for item in self._data("requests").get("requests", [])]
        pipeline = self._servers.pipeline
        theirs = pipeline.requests()
        alerts = get(f"{self._servers.alertmanager}/api/v2/alerts") or []
        alerted = [item["labels"]["retrain_request_id"] for item in alerts if "retrain_request_id" in item["labels"]]
        good = len(ours) == 1 and ours == theirs == alerted
        say("result", f"bridge {ours}, {pipeline.name} {theirs}, Alertmanager {alerted}")
        if good:
            say("result", "exactly one request reached both receivers under one id", "bold green")
        else:
            say("result", "expected exactly one request under one id", "bold red")
            console.print(self._servers.programs.tail("bridge"), markup=False)
        return good


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description="Run Retrain Bridge end to end with real servers on this machine.")
    parser.add_argument("--once", action="store_true", help="exit on its own, with code 0 on success")
    parser.add_argument("--prefect", action="store_true", help="start runs in a real Prefect instead of a command")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if started in the background
    folder = Path(tempfile.mkdtemp(prefix="retrain-bridge-demo-"))
    home = os.environ.get("ORCHESTRATOR_PREFECT", "")
    servers = Servers(folder, PrefectFlow(Path(home)) if options.prefect else EmbeddedCoordinator())
    try:
        servers.set_up()
        good = Report(servers).run(once=options.once)
    except KeyboardInterrupt:
        say("stop", "stopping everything")
        return 130
    except DemoError as error:
        console.print(f"error: {error}", markup=False, style="bold red")
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    say(
        "next",
        "put your own queries into a rule file like rules/demo.yml, and your servers into bridge.yml: see README.md",
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
