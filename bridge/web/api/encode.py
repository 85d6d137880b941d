"""JSON encoding of views, with the names and formats of the Prometheus HTTP API."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

import msgspec
from msgspec import UNSET

from bridge.domain.explain import Explanation
from bridge.domain.request import Decision, Feedback, OperatorAction, RecoveryVerdict, RequestRecord
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import Timestamp, rfc3339
from bridge.domain.verdict import Crossing
from bridge.engine.api.alert_views import AlertView
from bridge.engine.api.lifetimes import NextRetraining
from bridge.engine.api.silence_views import SilenceView
from bridge.engine.api.views import GroupView, ModelView, RuleView
from bridge.ports import DeliveryRecord, Pause, Run
from bridge.templates import fmt
from bridge.web.api import request_structs, structs
from bridge.web.api.fields import Number

_encoder = msgspec.json.Encoder()
ZERO_TIME = "0001-01-01T00:00:00Z"


def time_or_none(instant: Timestamp) -> str | None:
    """Return the instant in RFC 3339; 0 as None."""
    return rfc3339(instant) if instant else None


def time_or_zero(instant: Timestamp) -> str:
    """Return the instant in RFC 3339; 0 as the zero time of Go."""
    return rfc3339(instant) if instant else ZERO_TIME


def number(value: float | None) -> Number | None:
    """Return a number as JSON can represent it: NaN and infinities as text."""
    if value is None or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def go_exponent(value: float) -> str:
    """Format a value like Prometheus does in alerts: shortest digits and an exponent, such as 1e+00."""
    if not math.isfinite(value):
        return fmt.show(value)
    digits = repr(float(value)).partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
    return f"{value:.{max(0, len(digits) - 1)}e}"


def alert(view: AlertView) -> structs.Alert:
    """Encode an alert."""
    return structs.Alert(
        active_at=rfc3339(view.active_at), annotations=dict(view.annotations), labels=dict(sorted(view.labels.items())),
        state=view.state, value=go_exponent(view.value),
        keep_firing_since=rfc3339(view.keep_since) if view.keep_since else UNSET,
    )  # fmt: skip


def encoded_alerts(views: Iterable[AlertView]) -> list[structs.Alert]:
    """Return alerts as JSON that the encoder copies: 100,000 objects would take 100 MB."""
    return cast("list[structs.Alert]", [msgspec.Raw(_encoder.encode(alert(view))) for view in views])


def rule(
    view: RuleView, verdicts: Mapping[RecoveryVerdict, int], feedback: Mapping[Feedback, int], sent: int, *,
    alerts: Iterable[AlertView] = (), with_totals: bool = False,
) -> structs.Rule:  # fmt: skip
    """Encode a rule; lastError is absent if there is none, as in Prometheus.

    verdicts: its retrainings by verdict. feedback: its requests by feedback. sent: number of its recent
    requests. alerts: those to list.
    with_totals: count all its alerts.
    """
    return structs.Rule(
        type="alerting", name=view.name, query=view.query, duration=view.for_ / 1000,
        keep_firing_for=view.keep_firing_for / 1000,
        labels=dict(view.labels), annotations=dict(view.annotations),
        alerts=encoded_alerts(alerts), health=view.health,
        last_error=view.last_error or UNSET, evaluation_time=view.seconds,
        last_evaluation=time_or_zero(view.last_evaluation), state=view.state,
        retrainings=structs.Retrainings(**{verdict.value: verdicts.get(verdict, 0) for verdict in RecoveryVerdict}),
        feedback=structs.FeedbackCounts(**{word.value: feedback.get(word, 0) for word in Feedback}),
        recent_requests=sent,
        totals=structs.AlertTotals(pending=view.pending, firing=view.firing) if with_totals else UNSET,
    )  # fmt: skip


def group(view: GroupView, rules: list[structs.Rule]) -> structs.RuleGroup:
    """Encode a rule group with its encoded rules."""
    return structs.RuleGroup(
        name=view.name, file=view.file, interval=view.interval / 1000, limit=view.limit, rules=rules,
        evaluation_time=view.seconds, last_evaluation=time_or_zero(view.last_evaluation),
    )  # fmt: skip


def model(view: ModelView) -> structs.Model:
    """Encode a model with its signals."""
    return structs.Model(
        **view.model.labels(), state=view.state, last_request_at=time_or_none(view.last_request_at),
        last_request_id=view.last_request_id or None,
        signals=[
            structs.Signal(
                rule=item.rule, signal=item.signal, event=item.event, unit=item.unit,
                value=None if item.empty else number(item.value),
                statistic=number(item.statistic), threshold=number(item.threshold), verdict=item.verdict,
                cause=item.cause, state=item.state, at=time_or_none(item.at), crossing=_crossing(item.crossing),
            )
            for item in view.signals
        ],
    )  # fmt: skip


def _crossing(item: Crossing | None) -> structs.Crossing | None:
    if item is None:
        return None
    return structs.Crossing(
        limit=item.limit, earliest=rfc3339(item.earliest), latest=rfc3339(item.latest), confidence=item.confidence
    )


def decision(item: Decision) -> structs.Decision:
    """Encode a decision; the model's labels are null for a decision about a whole rule."""
    model = item.model
    return structs.Decision(
        id=item.id, slot=rfc3339(item.slot), group=item.group, rule=item.rule,
        project=model.project if model else None, pipeline=model.pipeline if model else None,
        version=model.version if model else None, outcome=item.outcome, before=item.before, after=item.after,
        reason=item.reason, verdict=item.verdict, cause=item.cause, value=number(item.value),
        statistic=number(item.statistic), threshold=number(item.threshold), query=item.query,
        query_time=time_or_none(item.query_time), request_id=item.request_id or None, repeats=item.repeats,
    )  # fmt: skip


def request(record: RequestRecord) -> request_structs.Request:
    """Encode a request with its state."""
    return request_structs.Request(**_request_fields(record))


def request_with_deliveries(
    record: RequestRecord, deliveries: Iterable[DeliveryRecord], runs: Iterable[Run], configured: Collection[str]
) -> request_structs.RequestWithDeliveries:
    """Encode a request with its state, deliveries and runs. configured: destinations of the configuration."""
    return request_structs.RequestWithDeliveries(
        **_request_fields(record), deliveries=[delivery(item, configured) for item in deliveries],
        runs=[run(item) for item in runs],
    )  # fmt: skip


def run(item: Run) -> request_structs.Run:
    """Encode a run."""
    return request_structs.Run(
        destination=item.destination, name=item.name, state=item.state, reference=item.reference, link=item.link,
        message=item.message, new_version=item.new_version, sent_at=time_or_none(item.sent_at),
        seen_at=time_or_none(item.seen_at), started_at=time_or_none(item.started_at),
        ended_at=time_or_none(item.ended_at), cancel_at=time_or_none(item.cancel_at), overdue=item.overdue,
    )  # fmt: skip


def _request_fields(record: RequestRecord) -> dict[str, Any]:
    body = record.request.to_json()
    return {
        **body, "evidence": [request_structs.Evidence(**item) for item in body["evidence"]], "state": record.state,
        "hold": record.hold, "receivers": list(record.receivers), "destinations": list(record.destinations),
        "hold_until": time_or_none(record.hold_until), "sent_at": time_or_none(record.sent_at),
        "delivered_at": time_or_none(record.delivered_at), "ended_at": time_or_none(record.ended_at),
        "updated_at": time_or_none(record.updated_at), "reference": record.reference, "link": record.link,
        "message": record.message,
        "new_version": record.new_version,
        "acts": [_act(act) for act in record.acts],
        "verdict": record.verdict, "verdict_at": time_or_none(record.verdict_at), "unhelpful": record.unhelpful,
        "shared_cause": None if record.shared_cause is None else shared_cause(record.shared_cause),
        "feedback": record.feedback,
    }  # fmt: skip


def shared_cause(cause: SharedCause) -> request_structs.SharedCause:
    """Encode the evidence of a shared cause."""
    return request_structs.SharedCause(
        label=cause.label, value=cause.value, breached=cause.breached, total=cause.total,
        others_breached=cause.others_breached, others=cause.others, since=rfc3339(cause.since),
        models=list(cause.models), text=str(cause),
    )  # fmt: skip


def explanation(item: Explanation) -> structs.Explanation:
    """Encode an explanation with its checks."""
    return structs.Explanation(
        **item.model.labels(), rule=item.rule, slot=time_or_none(item.slot), answer=item.answer,
        recomputed=item.recomputed, repeat=list(item.repeat), helped=item.helped,
        detects=item.detects,
        checks=[structs.Check(name=check.name, passed=check.passed, text=check.text) for check in item.checks],
    )  # fmt: skip


def forecast(found: NextRetraining | None) -> structs.Forecast:
    """Encode the forecast of a pipeline."""
    if found is None:
        return structs.Forecast(next_retraining=None)
    return structs.Forecast(
        next_retraining=structs.NextRetraining(
            since=rfc3339(found.since), earliest=rfc3339(found.earliest), latest=rfc3339(found.latest),
            own=found.own, others=found.others,
        )
    )  # fmt: skip


def pause(item: Pause) -> structs.Pause:
    """Encode a pause."""
    return structs.Pause(
        project=item.project, pipeline=item.pipeline, until=rfc3339(item.until), who=item.who, at=rfc3339(item.at),
        note=item.note, scope="/".join(part for part in (item.project, item.pipeline) if part) or "everything",
    )  # fmt: skip


def silence(item: SilenceView) -> structs.Silence:
    """Encode a silence in force."""
    found = item.silence
    return structs.Silence(
        id=found.id, matchers=[str(matcher) for matcher in found.matchers], ends_at=rfc3339(found.ends_at),
        created_by=found.created_by, comment=found.comment, unclear=found.unclear or None,
        requests=[record.id for record in item.requests],
    )  # fmt: skip


def delivery(item: DeliveryRecord, configured: Collection[str]) -> request_structs.Delivery:
    """Encode a delivery. configured: destinations of the configuration."""
    return request_structs.Delivery(
        id=item.id, request_id=item.request_id, destination=item.destination,
        configured=item.destination in configured, kind=item.kind, state=item.state, attempts=item.attempts,
        queued_at=rfc3339(item.queued_at), next_at=time_or_none(item.next_at), updated_at=rfc3339(item.updated_at),
        reason=item.reason, status=item.status, answer=item.answer,
    )  # fmt: skip


def _act(act: OperatorAction) -> request_structs.Act:
    return request_structs.Act(what=act.what, who=act.who, at=rfc3339(act.at), note=act.note)
