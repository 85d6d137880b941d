"""A real bridge starts a run in an orchestrator, is killed, and follows the run to its end and to its verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bridge import (
    REMOTE_WRITE,
    Bridge,
    Json,
    bridge,
    drift_rules,
    steps,
    whole_second,
    write_script,
)
from tests.support.orchestrators.python import Prefect
from tests.support.processes import wait_until
from tests.support.servers import Alertmanager, Prometheus, alertmanager, http, prometheus

SECOND = 1000
MODEL = ("shop", "followed", "7")


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


def run_of(process: Bridge, request_id: str) -> Json:
    """The only run of the request, once there is one."""
    wait_until(lambda: process.request(request_id)["runs"], 30, "the run")
    (run,) = process.request(request_id)["runs"]
    found: Json = run
    return found


def links_of(server: Alertmanager) -> set[str]:
    """The runs that its alerts link to."""
    return {alert["annotations"].get("run_url", "") for alert in server.alerts()}


def state_is(process: Bridge, request_id: str, state: str) -> None:
    wait_until(lambda: process.request(request_id)["state"] == state, 60, f"{state}: {process.program.log[-2000:]}")


def test_a_request_starts_one_run_that_is_followed_over_a_kill(source: Prometheus) -> None:
    """One start call; queued, running, succeeded with its version.

    The link is in the API, on the page, in the metrics and in the alert's annotations.
    """
    rules = drift_rules(only=MODEL[1], **{"for": "1s"})
    with Prefect() as prefect, alertmanager() as alerts:
        entry = {
            "preset": "prefect", "url": prefect.url, "target": dict(prefect.target), "status": {"interval": "1s"},
            "ui_url": "https://prefect.example",
        }  # fmt: skip
        receivers = {"run_configs": [entry], "alertmanager_configs": [{"url": alerts.url}]}
        with bridge(source.url, rules, receivers) as process:
            process.start()
            begins = whole_second(2)
            points = steps(begins - 10 * SECOND, begins + 240 * SECOND, [(begins, begins + 240 * SECOND)])
            write_script(source, {MODEL: points})
            wait_until(process.requests, 30, "the request")
            wanted = process.requests()[0]["id"]
            assert run_of(process, wanted)["name"] == f"rb-{wanted}"
            state_is(process, wanted, "accepted")
            prefect.runs[0].state = "running"
            process.kill()
            process.start()
            state_is(process, wanted, "running")
            link = f"https://prefect.example/runs/flow-run/{prefect.runs[0].id}"
            wait_until(lambda: link in links_of(alerts), 60, f"the link in {alerts.alerts()}")
            series = (
                f'retrain_bridge_last_run_info{{project="shop",pipeline="{MODEL[1]}",version="7",run_url="{link}"}} 1'
            )
            assert series in http("GET", f"{process.url}/metrics")[1]
            assert f'href="{link}"' in http("GET", f"{process.url}/requests/{wanted}")[1]
            prefect.runs[0].state, prefect.runs[0].version = "succeeded", "8"
            state_is(process, wanted, "succeeded")
            found = process.request(wanted)
            assert (found["reference"], found["new_version"]) == (prefect.runs[0].id, "8")
            assert (found["link"], found["runs"][0]["link"], found["runs"][0]["state"]) == (link, link, "succeeded")
            assert [item["state"] for item in found["deliveries"]] == ["delivered", "delivered"]
        assert (len(prefect.runs), prefect.starts) == (1, 1)
