"""Alertmanager's webhook payload, version 4, as a second door: a request routed both ways runs once.

Only alerts that ask for a retraining count: firing, `alertname` ModelRetrainRequested, with the label
`retrain_request_id`. Everything else is answered 200 and counted: an error would make Alertmanager send it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.coordinator.body import BodyError, RequestBody, decode, path, problems, submission
from bridge.coordinator.records import Origin, Submission

ID_LABEL = "retrain_request_id"
ALERT_NAME = "ModelRetrainRequested"


class AlertBody(BaseModel):
    """One alert of a notification; unknown keys are ignored."""

    model_config = ConfigDict(strict=True, title="Alert")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: str = ""  # noqa: N815 - Alertmanager's spelling
    endsAt: str = ""  # noqa: N815
    generatorURL: str = ""  # noqa: N815
    fingerprint: str = ""


class NotificationBody(BaseModel):
    """What Alertmanager posts to a webhook; unknown keys are ignored, newer senders add some."""

    model_config = ConfigDict(strict=True, title="AlertmanagerNotification")

    version: Literal["4"]
    alerts: list[AlertBody]
    truncatedAlerts: int = 0  # noqa: N815


@dataclass(frozen=True, slots=True)
class Notification:
    """The requests in it, and how many alerts were left aside for which reason.

    reasons: `resolved`, `other_alert`, `no_request_id`, `invalid` (its mistakes are in `mistakes`), `truncated`.
    """

    submissions: tuple[Submission, ...]
    ignored: Mapping[str, int]
    mistakes: tuple[tuple[str, str], ...]


def parse_notification(raw: bytes) -> Notification:
    """The body of POST /api/v1/alertmanager; BodyError when it is not such a payload at all."""
    found = decode(raw)
    try:
        body = NotificationBody.model_validate(found)
    except ValidationError as error:
        raise BodyError("the body is not a notification of Alertmanager, version 4", problems(error)) from None
    ignored: Counter[str] = Counter({"truncated": body.truncatedAlerts} if body.truncatedAlerts > 0 else {})
    taken: list[Submission] = []
    mistakes: list[tuple[str, str]] = []
    for index, alert in enumerate(body.alerts):
        if reason := _not_for_us(alert):
            ignored[reason] += 1
            continue
        try:
            taken.append(_submission(alert))
        except BodyError as error:
            ignored["invalid"] += 1
            wrong = error.fields or (("", error.detail),)
            mistakes += [(path(["alerts", index, "labels", name]), text) for name, text in wrong]
    return Notification(tuple(taken), dict(ignored), tuple(mistakes))


def _not_for_us(alert: AlertBody) -> str:
    if alert.status == "resolved":
        return "resolved"
    if ID_LABEL not in alert.labels:
        return "no_request_id"
    return "" if alert.labels.get("alertname") == ALERT_NAME else "other_alert"


def _submission(alert: AlertBody) -> Submission:
    """The alert as a request; BodyError names the labels that are missing or wrong."""
    labels, notes = alert.labels, alert.annotations
    reason = next((notes[name] for name in ("description", "summary") if notes.get(name)), "")
    fields: dict[str, Any] = {
        "id": labels[ID_LABEL],
        **{name: labels.get(name, "") for name in ("project", "pipeline", "version")},
        "reason": reason or f"alert {labels['alertname']}",
        "rule": labels.get("rule", ""),
        "labels": labels,
        "annotations": notes,
        "generator_url": alert.generatorURL,
        "triggered_at": alert.startsAt or None,
    }
    try:
        return submission(RequestBody.model_validate(fields), Origin.ALERTMANAGER)
    except ValidationError as error:
        renamed = [(ID_LABEL if name == "id" else name, text) for name, text in problems(error)]
        raise BodyError("the labels do not make a request", renamed) from None
