"""/api/v1/rules and /api/v1/alerts: format of Prometheus, filters, pages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.fake_views import (
    ALERT,
    AT,
    GROUP,
    RULE,
)
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_rules_have_the_format_of_prometheus(site: Site) -> None:
    """Grafana and other tools can list them unchanged."""
    assert site.data("/api/v1/rules") == {
        "groups": [
            {
                "name": "serving", "file": "rules.yml", "interval": 60.0, "limit": 500, "evaluationTime": 0.02,
                "lastEvaluation": "2023-11-14T22:13:20.000Z",
                "rules": [
                    {
                        "type": "alerting", "name": "Drifted", "query": "model_drift", "duration": 10.0,
                        "keepFiringFor": 0.0, "labels": {"severity": "page"}, "annotations": {}, "health": "ok",
                        "evaluationTime": 0.01, "lastEvaluation": "2023-11-14T22:13:20.000Z", "state": "firing",
                        "alerts": [
                            {
                                "activeAt": "2023-11-14T22:13:20.000Z", "annotations": {"summary": "Drift"},
                                "labels": {"alertname": "Drifted"}, "state": "firing", "value": "7.02e-01",
                            }
                        ],
                        "retrainings": {"recovered": 3, "not_recovered": 1, "inconclusive": 0},
                        "feedback": {"useful": 2, "false": 1, "late": 0}, "recentRequests": 5,
                    }
                ],
            }
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "groups"),
    [("type=record", 0), ("type=alert", 1), ("rule_name[]=Drifted", 1), ("rule_name[]=Other", 0),
     ("rule_group[]=serving", 1), ("rule_group[]=x", 0), ("file[]=x", 0),
     ('match[]={severity="page"}', 1), ('match[]={severity="page",team="x"}', 0),
     ('match[]={team="x"}&match[]={alertname=~"Dri.*"}', 1), ("state=firing", 1), ("state=pending&state=inactive", 0),
     ("health=ok", 1), ("health=err", 0)],
)  # fmt: skip
def test_rules_can_be_filtered(site: Site, query: str, groups: int) -> None:
    """The parameters of Prometheus work."""
    found = site.data(f"/api/v1/rules?{query}")
    assert isinstance(found, dict)
    assert len(found["groups"]) == groups


def test_groups_are_paginated(site: Site) -> None:
    """group_limit and group_next_token work as in Prometheus; the last page has no token."""
    site.queries.groups_ = [replace(GROUP, name=name) for name in ("a", "b", "c")]
    names, token = [], ""
    while True:
        found = site.data(f"/api/v1/rules?group_limit=2&group_next_token={token}")
        names.append([group["name"] for group in found["groups"]])
        token = found.get("groupNextToken")
        if token is None:
            break
    assert names == [["a", "b"], ["c"]]
    assert site.http.get("/api/v1/rules?group_next_token=gone").status_code == 400
    assert site.http.get("/api/v1/rules?match[]=x").json()["detail"].startswith("match[]: 'x' is not a matcher")


def test_alerts_are_those_of_all_rules(site: Site) -> None:
    """The list has one firing alert."""
    found = site.data("/api/v1/alerts")
    assert isinstance(found, dict)
    assert [item["value"] for item in found["alerts"]] == ["7.02e-01"]


def test_alerts_have_pages(site: Site) -> None:
    """With a limit, the number of all alerts is known."""
    values = [0.1, 0.2, 0.3]
    site.queries.groups_ = [replace(GROUP, rules=[replace(RULE, alerts=[replace(ALERT, value=v) for v in values])])]
    pages = [site.data(f"/api/v1/alerts?limit=2&offset={offset}") for offset in (0, 2)]
    assert [([alert["value"] for alert in page["alerts"]], page["total"]) for page in pages] == [
        (["1e-01", "2e-01"], 3), (["3e-01"], 3),
    ]  # fmt: skip
    assert "total" not in site.data("/api/v1/alerts")


def test_a_rule_lists_as_many_alerts_as_requested(site: Site) -> None:
    """Its totals count all of them; without a limit, the format is that of Prometheus."""
    site.queries.groups_ = [replace(GROUP, rules=[replace(RULE, alerts=[ALERT] * 3, pending=1, firing=2)])]
    (rule,) = site.data("/api/v1/rules?limit_alerts=1")["groups"][0]["rules"]
    assert (len(rule["alerts"]), rule["totals"]) == (1, {"pending": 1, "firing": 2})
    (rule,) = site.data("/api/v1/rules")["groups"][0]["rules"]
    assert (len(rule["alerts"]), "totals" in rule) == (3, False)


def test_groups_that_were_never_evaluated_have_go_zero_time(site: Site) -> None:
    """Prometheus uses the same value."""
    site.queries.groups_ = [replace(GROUP, last_evaluation=0)]
    found = site.data("/api/v1/rules")
    assert isinstance(found, dict)
    assert found["groups"][0]["lastEvaluation"] == "0001-01-01T00:00:00Z"


def test_alerts_of_rules_can_be_left_out(site: Site) -> None:
    """The parameter is exclude_alerts, as in Prometheus."""
    found = site.data("/api/v1/rules?exclude_alerts=true")
    assert isinstance(found, dict)
    assert found["groups"][0]["rules"][0]["alerts"] == []


def test_a_failed_rule_has_its_error_and_a_kept_alert_its_start(site: Site) -> None:
    """lastError and keepFiringSince are present only then."""
    kept = replace(ALERT, keep_since=AT, labels={"b": "2", "a": "1"})
    rule = replace(RULE, health="err", last_error="HTTP 503", alerts=[kept])
    site.queries.groups_ = [replace(GROUP, rules=[rule])]
    found = site.data("/api/v1/rules")
    assert isinstance(found, dict)
    shown = found["groups"][0]["rules"][0]
    assert (shown["health"], shown["lastError"]) == ("err", "HTTP 503")
    assert shown["alerts"][0]["keepFiringSince"] == "2023-11-14T22:13:20.000Z"
    assert list(shown["alerts"][0]["labels"]) == ["a", "b"]


@pytest.mark.parametrize("query", ['match[]={a=~"x{600}"}&match[]={a=~"\\pL{1000}"}', "match[]=" + "a=b," * 2000])
def test_large_selectors_are_refused(site: Site, query: str) -> None:
    """The limit protects against expensive requests."""
    answer = site.http.get(f"/api/v1/rules?{query}")
    assert answer.status_code == 400
    assert "it is too large" in answer.text or "send several requests" in answer.text
