"""Second way in: Alertmanager's webhook payload, version 4. A request that arrives both ways runs once.

Only retrain requests are accepted: firing alerts named ModelRetrainRequested with the label `retrain_request_id`. All
others are answered 200 and counted, because Alertmanager would retry after an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.coordinator.body import BodyError, RequestBody, decode, problems, submission
from bridge.coordinator.records import Origin, Submission
from bridge.net.problem import path

ID_LABEL = "retrain_request_id"
ALERT_NAME = "ModelRetrainRequested"


class AlertBody(BaseModel):
    """Alert of a notification; unknown keys are ignored."""

    model_config = ConfigDict(strict=True, title="Alert")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: str = ""  # noqa: N815 - Alertmanager's spelling
    endsAt: str = ""  # noqa: N815
    generatorURL: str = ""  # noqa: N815
    fingerprint: str = ""


class NotificationBody(BaseModel):
    """Webhook payload of Alertmanager; unknown keys are ignored, since newer versions may add some."""

    model_config = ConfigDict(strict=True, title="AlertmanagerNotification")

    version: Literal["4"]
    alerts: list[AlertBody]
    truncatedAlerts: int = 0  # noqa: N815


@dataclass(frozen=True, slots=True)
class Notification:
    """Parsed payload.

    submissions: the requests. ignored: number of other alerts by reason: `resolved`, `other_alert`, `no_request_id`,
    `invalid`, `truncated`. mistakes: (path, message) of each error in an invalid alert.
    """

    submissions: tuple[Submission, ...]
    ignored: Mapping[str, int]
    mistakes: tuple[tuple[str, str], ...]


def parse_notification(raw: bytes) -> Notification:
    """Parse the body of POST /api/v1/alertmanager. Raises BodyError when it is not such a payload."""
    payload = decode(raw)
    try:
        body = NotificationBody.model_validate(payload)
    except ValidationError as error:
        raise BodyError("the body is not an Alertmanager webhook payload, version 4", problems(error)) from None
    ignored: Counter[str] = Counter({"truncated": body.truncatedAlerts} if body.truncatedAlerts > 0 else {})
    submissions: list[Submission] = []
    mistakes: list[tuple[str, str]] = []
    for index, alert in enumerate(body.alerts):
        if reason := _ignore_reason(alert):
            ignored[reason] += 1
            continue
        try:
            submissions.append(_submission(alert))
        except BodyError as error:
            ignored["invalid"] += 1
            fields = error.fields or (("", error.detail),)
            mistakes += [(path(["alerts", index, "labels", name]), text) for name, text in fields]
    return Notification(tuple(submissions), dict(ignored), tuple(mistakes))


def _ignore_reason(alert: AlertBody) -> str:
    """Return why an alert is ignored; "" when it is a retrain request."""
    if alert.status == "resolved":
        return "resolved"
    if ID_LABEL not in alert.labels:
        return "no_request_id"
    return "" if alert.labels.get("alertname") == ALERT_NAME else "other_alert"


def _submission(alert: AlertBody) -> Submission:
    """Convert an alert to a request. Raises BodyError, which names the labels that are missing or wrong."""
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
        raise BodyError("the labels are not those of a retrain request", renamed) from None
