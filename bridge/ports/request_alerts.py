"""Labels and annotations of a request's alerts. Pure functions.

In Alertmanager, labels are identity, so they contain only what never changes about a request; values, times and
reasons are annotations. The request id is a label because a repeated label set triggers no second notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason, RetrainRequest
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import MINUTE, Duration, Timestamp, rfc3339
from bridge.ports import Alert

REQUESTED = "ModelRetrainRequested"
HELD = "ModelRetrainHeld"
AWAITING_APPROVAL = "ModelRetrainAwaitingApproval"
ESCALATED = "ModelRetrainEscalated"
STORM = "ModelRetrainStorm"
SHARED_CAUSE = "ModelRetrainSharedCause"
_NAMES = {HoldReason.APPROVAL: AWAITING_APPROVAL, HoldReason.ATTEMPTS: ESCALATED}
_SUMMARIES = {
    HoldReason.APPROVAL: "awaits approval",
    HoldReason.ATTEMPTS: "needs a human: retraining did not help",
}
RESERVED_LABELS = frozenset({"alertname", "project", "pipeline", "version", "rule", "retrain_request_id"})


@dataclass(frozen=True, slots=True)
class Sender:
    """Identity of this bridge in alerts.

    external_url: base URL of this bridge for people, "" = unknown.
    external_labels: `global.external_labels`.
    """

    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def link(self, request_id: str) -> str:
        """Return the URL of the page of a request; "" if the bridge's own URL is unknown."""
        return f"{self.external_url.rstrip('/')}/requests/{request_id}" if self.external_url else ""


def alert_lifetime(every: Duration) -> Duration:
    """Return how far in the future `endsAt` of an open alert is: four re-posts, at least the time of a restart."""
    return max(4 * every, MINUTE)


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """Firing `alert:` rule of one model.

    labels: without the external labels of this bridge.
    interval: evaluation interval of the rule's group.
    """

    rule: str
    model: ModelKey
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: Timestamp
    interval: Duration


def identity(request: RetrainRequest, sender: Sender, alertname: str = REQUESTED) -> dict[str, str]:
    """Return the labels of a request's alert: reserved ones override the request's, which override external ones."""
    return {
        **sender.external_labels,
        **request.labels,
        "alertname": alertname,
        **request.model.labels(),
        "rule": request.rule,
        "retrain_request_id": request.id,
    }


def remarks(request: RetrainRequest, annotations: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the annotations: `summary` and `description`, unless the rule sets its own, and the rule's others.

    annotations: replace those that the request was created with.
    """
    reasons = request.reasons or (request.reason,)
    late = " Detected late, after downtime of the bridge." if request.late else ""
    return {
        "summary": f"Retraining requested for {request.model}",
        "description": f"{'; '.join(reasons)} (rule {request.rule}, attempt {request.attempt}).{late}",
        **(request.annotations if annotations is None else annotations),
    }


def requested(
    request: RetrainRequest, sender: Sender, *, starts_at: Timestamp, ends_at: Timestamp,
    annotations: Mapping[str, str] | None = None, link: str = "", labels: Mapping[str, str] | None = None,
) -> Alert:  # fmt: skip
    """Return the alert that requests the retraining.

    ends_at: in the future while the episode is open.
    annotations: replace those that the request was created with.
    link: URL of the run, which becomes the annotation `run_url`.
    labels: those of an earlier alert of the same request; they never change.
    """
    texts = remarks(request, annotations)
    if link:
        texts["run_url"] = link
    return Alert(labels or identity(request, sender), texts, starts_at, ends_at, sender.link(request.id))


def held(
    request: RetrainRequest,
    sender: Sender,
    *,
    reason: HoldReason,
    until: Timestamp,
    starts_at: Timestamp,
    ends_at: Timestamp,
    annotations: Mapping[str, str] | None = None,
) -> Alert:
    """Return the alert for a held request, with the annotations `reason` (the gate) and `until`.

    until: expected end of the hold, 0 = unknown; RFC 3339 or "" in the annotation.
    """
    texts = {
        **remarks(request, annotations),
        "summary": f"Retraining of {request.model} {_SUMMARIES.get(reason, f'is held: {reason.value}')}",
        "reason": reason.value,
        "until": rfc3339(until) if until else "",
    }
    name = _NAMES.get(reason, HELD)
    return Alert(identity(request, sender, name), texts, starts_at, ends_at, sender.link(request.id))


def released(request: RetrainRequest, sender: Sender, *, starts_at: Timestamp, ends_at: Timestamp) -> tuple[Alert, ...]:
    """Return the resolved alerts of a request that was held: one for each name that they may have had."""
    texts = {**remarks(request), "summary": f"Retraining of {request.model} is no longer held"}
    return tuple(
        Alert(identity(request, sender, name), texts, starts_at, ends_at, sender.link(request.id))
        for name in (HELD, *_NAMES.values())
    )


def storm(
    group: str, count: int, sender: Sender, *, until: Timestamp, starts_at: Timestamp, ends_at: Timestamp
) -> Alert:
    """Return the alert for a storm: the requests of a group that are held as one incident."""
    labels = {**sender.external_labels, "alertname": STORM, "group": group}
    texts = {
        "summary": f"{count} retraining requests of group {group} are held because of a storm",
        "description": "So many models firing at once most likely share one cause that retraining does not fix.",
        "until": rfc3339(until) if until else "",
    }
    return Alert(labels, texts, starts_at, ends_at, sender.external_url)


def shared_cause(
    cause: SharedCause, count: int, sender: Sender, *, until: Timestamp, starts_at: Timestamp, ends_at: Timestamp
) -> Alert:
    """Return the alert for models that are unhealthy together: their requests are held as one incident.

    count: number of held requests.
    """
    labels = {
        **sender.external_labels, "alertname": SHARED_CAUSE, "cause_label": cause.label, "cause_value": cause.value,
    }  # fmt: skip
    texts = {
        "summary": str(cause),
        "description": f"Retraining would not help: {count} retraining requests are held until these models recover.",
        "models": ", ".join(cause.models),
        "until": rfc3339(until) if until else "",
    }
    return Alert(labels, texts, starts_at, ends_at, sender.external_url)


def rule_alert(item: FiringAlert, sender: Sender, *, ends_at: Timestamp) -> Alert:
    """Return the alert of an `alert:` rule for one model."""
    labels = {**sender.external_labels, **item.labels}
    return Alert(labels, item.annotations, item.starts_at, ends_at, sender.external_url)
