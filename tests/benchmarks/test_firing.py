"""Series made for alerts, and one round against a real Prometheus."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks import firing

RULES = """
groups:
- name: g
  rules:
  - {alert: High, expr: 'm{job="a", kind=~"x|y"} > 5', annotations: {summary: '{{ $labels.instance }} {{ $value }}'}}
  - {alert: Ratio, expr: 'sum by (job) (a) / on (job) sum by (job) (b{x!="1"}) > 0.5'}
  - {alert: Never, expr: 'm{job="b"} > 5'}
  - {alert: Unknown, expr: '{job="a"} > 5'}
"""


@pytest.fixture
def alerts(tmp_path: Path) -> list[firing.Alert]:
    (tmp_path / "rules.yml").write_text(RULES)
    return list(firing.alerts_of([tmp_path / "rules.yml"], tmp_path))


def test_a_series_satisfies_the_selectors_of_an_alert(alerts: list[firing.Alert]) -> None:
    """Labels of matchers, of groupings and of templates; an alert whose metric is unknown is left out."""
    high, ratio, never = alerts
    assert high.needs == [("m", {"job": "a", "kind": "x"})]
    assert high.names == {"instance"}
    assert ratio.needs == [("a", {}), ("b", {})]
    assert ratio.names == {"job"}
    assert never.name == "rules.yml: g[2] Never"


def test_alerts_that_need_different_series_of_a_metric_are_in_different_rounds(alerts: list[firing.Alert]) -> None:
    """So that each has one series."""
    together, series = firing.chosen(alerts, random.Random(1))
    names = {alert.rule["alert"] for alert in together}
    assert "Ratio" in names
    assert len(names & {"High", "Never"}) == 1
    assert sorted(metric for metric, _ in series) == ["a", "b", "m"]


def test_an_alert_that_fires_is_the_same_as_in_prometheus(
    alerts: list[firing.Alert], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first round all values are large."""
    monkeypatch.setattr(firing, "INTERVAL", 1.0)
    tally = firing.Tally()
    firing.run_round([alert for alert in alerts if alert.rule["alert"] != "Never"], 0, random.Random(1), tally)
    assert (tally.fired, tally.same, tally.mapped, tally.different) == (2, 2, 1, [])
