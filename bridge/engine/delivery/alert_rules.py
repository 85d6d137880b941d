"""Alerts of firing `alert:` rules: one for each model."""

from __future__ import annotations

import numpy as np

from bridge.domain.alert import State
from bridge.domain.times import Duration
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports.request_alerts import FiringAlert


def firing(run: RuleEvaluator, interval: Duration) -> list[FiringAlert]:
    """Return the alerts of one rule. interval: evaluation interval of its group."""
    alerts = run.live.alerts
    return [
        FiringAlert(
            run.rule.name,
            run.table[row],
            notice_labels(run, row),
            run.alert_annotations(row),
            int(alerts.fired_at[row]),
            interval,
        )
        for row in np.flatnonzero(alerts.state == State.FIRING).tolist()
    ]


def notice_labels(run: RuleEvaluator, row: int) -> dict[str, str]:
    """Return the labels of a model's alert: routes match them, and Alertmanager receives them."""
    return {**run.alert_labels(row), "alertname": run.rule.alertname, **run.table[row].labels()}
