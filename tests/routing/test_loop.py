"""The whole way by Alertmanager alone: real bridge, Prometheus, Alertmanager with the shipped example, coordinator."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from tests.support.bridge import METRIC, Json, bridge, drift_rules
from tests.support.bridge_story import shipped_rules
from tests.support.coordinator import ALERTS, process
from tests.support.processes import free_port, wait_until
from tests.support.receiver import Receiver, Reply
from tests.support.routing import example
from tests.support.servers import Alertmanager, alertmanager, exporter, prometheus

TRAIN = """
import pathlib, sys, time
sys.stdin.read()
folder = pathlib.Path(sys.argv[1])
with (folder / "runs").open("a") as runs:
    runs.write("run\\n")
while not (folder / "end").exists():
    time.sleep(0.1)
print('{"new_version": "8"}')
"""


def line(drift: float, version: str) -> str:
    return f'{METRIC}{{project="shop",pipeline="ranking",version="{version}"}} {drift}\n'


def config(targets: list[str], target: Alertmanager) -> str:
    """prometheus.yml: models, bridge, and where alerts go."""
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [one]}]}
        for name, one in zip(("models", "retrain-bridge"), targets, strict=True)
    ]
    alerting = {"alertmanagers": [{"static_configs": [{"targets": [target.url.removeprefix("http://")]}]}]}
    timing = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    return json.dumps({"global": timing, "alerting": alerting, "rule_files": ["rules.yml"], "scrape_configs": jobs})


def muted(target: Alertmanager) -> list[str]:
    """The alerts that are inhibited there."""
    return [alert["labels"]["alertname"] for alert in target.alerts() if alert["status"]["inhibitedBy"]]


def test_a_request_goes_by_alertmanager_is_muted_while_it_runs_and_comes_back_as_done(tmp_path: Path) -> None:
    """One run; the bridge learns its end and its new version from the coordinator's report; people were told."""
    listen = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        page = stack.enter_context(exporter(line(0.1, "7")))
        trainer: Json = {"command": [sys.executable, "-c", TRAIN, str(tmp_path)], "bridge_url": f"http://{listen}"}
        coordinator = stack.enter_context(process(tmp_path / "c", **trainer))
        people = stack.enter_context(Receiver(Reply(body=b"ok")))
        routed = example(people.url, {}, coordinator=coordinator.client.url + ALERTS)
        target = stack.enter_context(alertmanager(json.dumps(routed)))
        source = stack.enter_context(prometheus(config([page.target, listen], target), rules=shipped_rules()))
        receivers = {"alertmanager_configs": [{"url": target.url}]}
        own = stack.enter_context(bridge(source.url, drift_rules(), receivers, listen=listen))
        own.start()
        wait_until(lambda: source.query('retrain_bridge_model_state{state="healthy"}'), 30, "a healthy model")
        page.text = line(0.9, "7")
        wait_until(lambda: own.requests() and own.requests()[0]["state"] == "running", 30, "the run")
        wait_until(lambda: muted(target), 15, "inhibition")
        page.text = line(0.1, "7") + line(0.1, "8")
        (tmp_path / "end").touch()
        wait_until(lambda: own.requests()[0]["state"] == "succeeded", 30, "the end of the run")
        (request,) = own.requests()
        assert (request["reference"], request["new_version"]) == ("run-1", "8")
        wait_until(lambda: not muted(target), 15, "the end of the inhibition")
        assert {got.path for got in people.requests} == {"/people"}
    assert (tmp_path / "runs").read_text() == "run\n"
