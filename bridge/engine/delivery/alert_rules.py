"""What `alert:` rules say to Alertmanagers: one alert for each model, as long as the rule fires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bridge.domain.alert import State
from bridge.domain.model import ModelKey
from bridge.domain.rule import Mode, RuleKind
from bridge.domain.times import Duration, Timestamp
from bridge.engine.evaluation.rule import RuleEvaluator


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """A firing `alert:` rule of one model. Labels are without those that every alert of this bridge has."""

    rule: str
    model: ModelKey
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: Timestamp
    interval: Duration


def tells(run: RuleEvaluator) -> bool:
    """Whether the rule tells people."""
    return run.rule.kind is RuleKind.ALERT and run.rule.mode is Mode.LIVE


def firing(run: RuleEvaluator, interval: Duration) -> list[FiringAlert]:
    """The notices of one rule."""
    alerts = run.live.alerts
    return [
        FiringAlert(
            run.rule.name,
            run.table[slot],
            notice_labels(run, run.table[slot]),
            run.rendered(slot),
            int(alerts.fired_at[slot]),
            interval,
        )
        for slot in np.flatnonzero(alerts.state == State.FIRING).tolist()
    ]


def notice_labels(run: RuleEvaluator, model: ModelKey) -> dict[str, str]:
    """The labels that routes match, and that Alertmanager sees."""
    return {**run.rule.labels, "alertname": run.rule.name, **model.labels()}
