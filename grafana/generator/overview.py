"""Which models are not well, since when and by what; what was asked for; is the bridge well."""

from __future__ import annotations

from grafana.generator import shared
from grafana.generator.links import OVERVIEW
from grafana.generator.making import made
from grafana.generator.panels import PLAIN, bad_above, number, organize, query, rows, steps
from grafana.generator.sdk import build, stat, table
from grafana.generator.variables import metric


def _models(title: str, about: str, states: str = "", limits: build.ThresholdsConfig = PLAIN) -> stat.Panel:
    chosen = metric("models", f'state=~"{states}"' if states else "")
    return number(title, about, f"sum({chosen})", none="no bridge", width=3, limits=limits)


def _bridge_alerts() -> table.Panel:
    expr = 'sum by (alertname,alertstate) (ALERTS{alertname=~"RetrainBridge.+"})'
    return rows(
        "Alerts about the bridge", "From rules/prometheus-retrain-bridge.yml, where your Prometheus loads them.",
        [query(expr, instant=True, rows=True)], none="None: the bridge is well",
        steps=[organize({"alertname": "alert", "alertstate": "state"}, hide=("Time", "Value"))],
    )  # fmt: skip


def overview() -> build.Dashboard:
    """The dashboard to keep open."""
    behind = f"max((time() - {metric('last_evaluation_timestamp_seconds')}) / {metric('evaluation_interval_seconds')})"
    now = [
        _models("Models", "Models that a rule has seen."),
        _models("Degraded", "A rule is pending or firing, and nothing was asked for yet.", "degraded", bad_above(1)),
        _models("No data", "Every rule of the model is without an answer.", "no_data", bad_above(1)),
        _models("Held", "A gate or a missing approval keeps the request back.", "held|awaiting_approval", bad_above(1)),
        _models("Being retrained", "Asked for, or running.", "retrain_requested|retraining",
                steps((None, "text"), (1, "blue"))),
        shared.in_range("Asked for", "Requests that were sent in the time range.", "requested", width=3),
        shared.helped(width=3),
        number("Intervals behind", "How late the latest group is, in its own intervals. Above 3 it is not evaluated.",
               behind, limits=bad_above(2, 3), none="no bridge", width=3, decimals=1),
    ]  # fmt: skip
    return made(
        OVERVIEW, "Retrain Bridge / Overview", "Which models are not well, since when and by what; is the bridge well.",
        [
            ("", False, now),
            ("Models", False, [shared.state_timeline(), shared.active_rules(), shared.held_now()]),
            ("Signals", False, [shared.distance()]),
            ("Retrainings", False, [shared.decided(), shared.request_log()]),
            ("Effect, and the bridge itself", False, [shared.verdicts(), _bridge_alerts()]),
        ],
        since="now-6h",
    )  # fmt: skip
