"""What `alert:` rules say to Alertmanagers: one alert for each model, as long as the rule fires."""

from __future__ import annotations

import numpy as np

from bridge.domain.alert import State
from bridge.domain.times import Duration
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports.request_alerts import FiringAlert


def firing(run: RuleEvaluator, interval: Duration) -> list[FiringAlert]:
    """The notices of one rule."""
    alerts = run.live.alerts
    return [
        FiringAlert(
            run.rule.name,
            run.table[slot],
            notice_labels(run, slot),
            run.rendered(slot),
            int(alerts.fired_at[slot]),
            interval,
        )
        for slot in np.flatnonzero(alerts.state == State.FIRING).tolist()
    ]


def notice_labels(run: RuleEvaluator, row: int) -> dict[str, str]:
    """Return the labels of a model's alert: routes match them, and Alertmanager receives them."""
    return {**run.alert_labels(row), "alertname": run.rule.alertname, **run.table[row].labels()}
