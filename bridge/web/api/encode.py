"""JSON encoding of views, with the names and formats of the Prometheus HTTP API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bridge.domain.explain import Explanation
from bridge.domain.request import Decision, RecoveryVerdict, RequestRecord
from bridge.domain.times import Timestamp, rfc3339
from bridge.engine.api.views import AlertView, GroupView, ModelView, RuleView
from bridge.ports import DeliveryRecord, Pause
from bridge.templates import fmt

ZERO_TIME = "0001-01-01T00:00:00Z"


def time_or(instant: Timestamp, default: str | None = None) -> str | None:
    """Return the instant in RFC 3339; 0 as `default`."""
    return rfc3339(instant) if instant else default


def number(value: float | None) -> float | str | None:
    """Return a number as JSON can represent it: NaN and infinities as text."""
    return value if value is None or math.isfinite(value) else fmt.show(value)


def go_exponent(value: float) -> str:
    """Format a value like Prometheus does in alerts: shortest digits and an exponent, such as 1e+00."""
    if not math.isfinite(value):
        return fmt.show(value)
    digits = repr(float(value)).partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
    return f"{value:.{max(0, len(digits) - 1)}e}"


def alert(view: AlertView) -> dict[str, Any]:
    """Encode an alert; keepFiringSince is present only while `keep_firing_for` keeps it firing."""
    return {
        "activeAt": rfc3339(view.active_at), "annotations": dict(view.annotations),
        "labels": dict(sorted(view.labels.items())),
        "state": view.state, "value": go_exponent(view.value),
        **({"keepFiringSince": rfc3339(view.keep_since)} if view.keep_since else {}),
    }  # fmt: skip


def rule(view: RuleView, verdicts: Mapping[RecoveryVerdict, int], *, with_alerts: bool = True) -> dict[str, Any]:
    """Encode a rule; lastError is absent if there is none, as in Prometheus. verdicts: its retrainings by verdict."""
    return {
        "type": "alerting", "name": view.name, "query": view.query, "duration": view.for_ / 1000,
        "keepFiringFor": view.keep_firing_for / 1000, "labels": dict(view.labels),
        "annotations": dict(view.annotations), "alerts": [alert(item) for item in view.alerts if with_alerts],
        "health": view.health, **({"lastError": view.last_error} if view.last_error else {}),
        "evaluationTime": view.seconds, "lastEvaluation": time_or(view.last_evaluation, ZERO_TIME),
        "state": view.state, "retrainings": {verdict.value: verdicts.get(verdict, 0) for verdict in RecoveryVerdict},
    }  # fmt: skip


def group(view: GroupView, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Encode a rule group with its encoded rules."""
    return {
        "name": view.name, "file": view.file, "interval": view.interval / 1000, "limit": view.limit, "rules": rules,
        "evaluationTime": view.seconds, "lastEvaluation": time_or(view.last_evaluation, ZERO_TIME),
    }  # fmt: skip


def model(view: ModelView) -> dict[str, Any]:
    """Encode a model with its signals."""
    return {
        **view.model.labels(), "state": view.state.value,
        "last_request_at": time_or(view.last_request_at), "last_request_id": view.last_request_id or None,
        "signals": [
            {
                "rule": item.rule, "signal": item.signal, "event": item.event, "unit": item.unit,
                "value": number(item.value), "threshold": number(item.threshold), "verdict": item.verdict,
                "cause": item.cause, "state": item.state, "at": time_or(item.at),
            }
            for item in view.signals
        ],
    }  # fmt: skip


def decision(item: Decision) -> dict[str, Any]:
    """Encode a decision; the model's labels are null for a decision about a whole rule."""
    keys = item.model.labels() if item.model else {"project": None, "pipeline": None, "version": None}
    return {
        "id": item.id, "slot": rfc3339(item.slot), "group": item.group, "rule": item.rule, **keys,
        "outcome": item.outcome.value, "before": item.before, "after": item.after, "reason": item.reason,
        "verdict": item.verdict, "cause": item.cause, "value": number(item.value), "statistic": number(item.statistic),
        "threshold": number(item.threshold), "query": item.query, "query_time": time_or(item.query_time),
        "request_id": item.request_id or None, "repeats": item.repeats,
    }  # fmt: skip


def request(record: RequestRecord) -> dict[str, Any]:
    """Encode a request with its state."""
    return {
        **record.request.to_json(), "state": record.state.value, "hold": record.hold, "receivers": record.receivers,
        "destinations": record.destinations, "hold_until": time_or(record.hold_until),
        "sent_at": time_or(record.sent_at), "delivered_at": time_or(record.delivered_at),
        "ended_at": time_or(record.ended_at), "updated_at": time_or(record.updated_at),
        "reference": record.reference, "message": record.message, "new_version": record.new_version,
        "acts": [{"what": act.what, "who": act.who, "at": rfc3339(act.at), "note": act.note} for act in record.acts],
        "verdict": record.verdict, "verdict_at": time_or(record.verdict_at), "unhelpful": record.unhelpful,
    }  # fmt: skip


def explanation(item: Explanation) -> dict[str, Any]:
    """Encode an explanation with its checks."""
    return {
        **item.model.labels(), "rule": item.rule, "slot": time_or(item.slot), "answer": item.answer,
        "recomputed": item.recomputed, "repeat": item.repeat, "helped": item.helped,
        "checks": [{"name": check.name, "passed": check.passed, "text": check.text} for check in item.checks],
    }  # fmt: skip


def pause(item: Pause) -> dict[str, Any]:
    """Encode a pause."""
    return {
        "project": item.project, "pipeline": item.pipeline, "until": rfc3339(item.until), "who": item.who,
        "at": rfc3339(item.at), "note": item.note,
        "scope": "/".join(part for part in (item.project, item.pipeline) if part) or "everything",
    }  # fmt: skip


def delivery(item: DeliveryRecord) -> dict[str, Any]:
    """Encode a delivery."""
    return {
        "id": item.id, "request_id": item.request_id, "destination": item.destination, "kind": item.kind.value,
        "state": item.state.value, "attempts": item.attempts, "queued_at": rfc3339(item.queued_at),
        "next_at": time_or(item.next_at), "updated_at": rfc3339(item.updated_at), "reason": item.reason,
        "status": item.status, "answer": item.answer,
    }  # fmt: skip
