"""Dashboard with an overview of models, requests and the bridge."""

from __future__ import annotations

from grafana.generator import shared
from grafana.generator.links import OVERVIEW
from grafana.generator.making import made
from grafana.generator.panels import PLAIN, bad_above, number, organize, query, rows, steps
from grafana.generator.sdk import build, stat, table
from grafana.generator.variables import metric
from grafana.generator.worth import worth


def _models(title: str, about: str, states: str = "", limits: build.ThresholdsConfig = PLAIN) -> stat.Panel:
    chosen = metric("models", f'state=~"{states}"' if states else "")
    return number(title, about, f"sum({chosen})", none="no bridge", width=3, limits=limits)


def _bridge_alerts() -> table.Panel:
    expr = 'sum by (alertname,alertstate) (ALERTS{alertname=~"RetrainBridge.+"})'
    return rows(
        "Alerts on the bridge", "Alerts of rules/prometheus-retrain-bridge.yml, if your Prometheus loads them.",
        [query(expr, instant=True, rows=True)], none="No alert: the bridge is healthy",
        steps=[organize({"alertname": "Alert", "alertstate": "State"}, hide=("Time", "Value"))],
    )  # fmt: skip


def overview() -> build.Dashboard:
    """Return the overview dashboard."""
    behind = f"max((time() - {metric('last_evaluation_timestamp_seconds')}) / {metric('evaluation_interval_seconds')})"
    now = [
        _models("Models", "Models that a rule has seen."),
        _models("Degraded", "Models with a pending or firing rule and no request yet.", "degraded", bad_above(1)),
        _models("No data", "Models for which every rule lacks data.", "no_data", bad_above(1)),
        _models("Held", "Models whose request waits for a gate or approval.", "held|awaiting_approval", bad_above(1)),
        _models("In retraining", "Models with a requested or running retraining.", "retrain_requested|retraining",
                steps((None, "text"), (1, "blue"))),
        shared.in_range("Requested", "Requests sent in the time range.", "requested", width=3),
        shared.helped(width=3),
        number("Intervals behind", "Delay of the most delayed group. Above 3, it is not being evaluated.",
               behind, limits=bad_above(2, 3), none="no bridge", width=3, decimals=1),
    ]  # fmt: skip
    return made(
        OVERVIEW, "Retrain Bridge / Overview", "Degraded models with rule and time, requests, health of the bridge.",
        [
            ("", False, now),
            ("Models", False, [shared.state_timeline(), shared.active_rules(), shared.held_now()]),
            ("Signals", False, [shared.distance()]),
            ("Retrainings", False, [shared.decided(width=8), shared.request_log(width=8), shared.last_runs(width=8)]),
            ("Recovery, and alerts on the bridge", False, [worth(), _bridge_alerts()]),
        ],
        since="now-6h",
    )  # fmt: skip
