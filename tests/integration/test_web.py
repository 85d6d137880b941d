"""The web server beside a real Prometheus: it scrapes us, and our rules look like its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.app.telemetry import Telemetry
from bridge.domain.model import ModelKey
from bridge.engine.api.views import ModelState
from bridge.ports import TickReport
from tests.support.fake_views import AT, FakeQueries, model_view
from tests.support.servers import Prometheus, http, prometheus, wait_until
from tests.support.web import Site, serving

RULES = """
groups:
- name: serving
  interval: 1s
  rules:
  - alert: Drifted
    expr: vector(0.702) > 0.6
    labels: {severity: page}
    annotations: {summary: 'Drift {{ $value }}'}
"""
HOSTILE = ModelKey('quo"te', "back\\slash", "new\nline\r\x1b[31m\u2028é")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as running:
        queries = FakeQueries(views=[model_view(), model_view(HOSTILE, ModelState.DEGRADED)])
        telemetry = Telemetry(queries)
        telemetry.expect({"Drifted": "serving"}, ["serving"], ["team/coordinator/0"])
        telemetry.tick(TickReport("serving", AT, 0.02, (), {"drift": 2}, {("Drifted", "requested"): 1}))
        telemetry.reload(ok=True, at=AT)
        running.metrics = telemetry.render(AT)
        yield running


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Prometheus]:
    with prometheus(targets=[site.server.address], rules=RULES) as running:
        wait_until(lambda: running.query("retrain_bridge_build_info"), 15, "first scrape")
        yield running


def test_prometheus_takes_the_whole_page_hostile_labels_included(server: Prometheus) -> None:
    """No sample is lost, and the label values arrive as they are."""
    assert [item["value"][1] for item in server.query("up")] == ["1"]
    labels = {
        (item["metric"]["project"], item["metric"]["pipeline"], item["metric"]["version"])
        for item in server.query("retrain_bridge_model_info")
    }
    assert labels == {("shop", "ranking", "7"), (HOSTILE.project, HOSTILE.pipeline, HOSTILE.version)}


def test_a_panel_draws_value_and_threshold_of_one_rule(server: Prometheus) -> None:
    """They match without `on` or `ignoring`; and the decision of the tick is there beside its zeros."""
    over = server.query('retrain_bridge_signal_value{project="shop"} - retrain_bridge_signal_threshold')
    assert [round(float(item["value"][1]), 3) for item in over] == [0.102]
    assert len(server.query("retrain_bridge_decisions_total == 0")) == 12
    assert len(server.query("retrain_bridge_decisions_total == 1")) == 1


def shape(value: Any) -> Any:
    """Keys and types, without the values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


def told(url: str, path: str) -> Any:
    status, text = http("GET", f"{url}/api/v1/{path}")
    assert status == 200
    return json.loads(text)


@pytest.mark.parametrize("path", ["rules", "rules?type=alert", "rules?rule_name[]=Drifted", "rules?rule_name[]=Other"])
def test_rules_have_the_form_of_prometheus_own(server: Prometheus, site: Site, path: str) -> None:
    """Key by key and type by type, from the envelope to a firing alert; what newer versions add comes on top."""

    def firing() -> bool:
        return any(item["state"] == "firing" for item in told(server.url, "alerts")["data"]["alerts"])

    wait_until(firing, 10, "Prometheus' own alert")
    theirs, ours = told(server.url, path), told(f"http://{site.server.address}", path)
    for groups in (theirs["data"]["groups"], ours["data"]["groups"]):
        for group in groups:
            for rule in group["rules"]:
                rule["labels"] = rule["annotations"] = {}
                rule.pop("keepFiringFor", None)  # newer than the Prometheus here
                for own in ("retrainings", "feedback", "recentRequests"):  # ours alone
                    rule.pop(own, None)
                for alert in rule["alerts"]:
                    alert["labels"] = alert["annotations"] = {}
    if path.endswith("Other"):  # the Prometheus here ignores the filter, newer ones do not
        assert ours == {"status": "success", "data": {"groups": []}}
    else:
        assert shape(ours) == shape(theirs)


def test_alerts_have_the_form_of_prometheus_own(server: Prometheus, site: Site) -> None:
    """Values with an exponent, times with a zone."""
    theirs = wait_until(lambda: told(server.url, "alerts")["data"]["alerts"], 10, "Prometheus' own alert")
    ours = told(f"http://{site.server.address}", "alerts")["data"]["alerts"]
    assert ours[0].keys() == theirs[0].keys()
    assert ours[0]["value"] == theirs[0]["value"] == "7.02e-01"
    assert ours[0]["activeAt"].endswith("Z")
    assert theirs[0]["activeAt"].endswith("Z")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "rules?type=x", 400), ("POST", "rules", 405)])
def test_errors_have_the_status_and_the_word_of_prometheus_own(
    server: Prometheus, site: Site, method: str, path: str, status: int
) -> None:
    """As problem details; the word for it is where tools that know Prometheus' envelope look."""
    theirs = http(method, f"{server.url}/api/v1/{path}")
    ours = http(method, f"http://{site.server.address}/api/v1/{path}")
    assert ours[0] == theirs[0] == status
    body = json.loads(ours[1])
    assert set(body) == {"type", "title", "status", "detail", "errorType", "errors"}
    if status == 400:
        assert body["errorType"] == json.loads(theirs[1])["errorType"] == "bad_data"
