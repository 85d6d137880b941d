"""A request as people are told of it: the labels and annotations of its alerts. Pure.

Labels are identity in Alertmanager, so they hold only what never changes of a request; values, times and reasons are
annotations. The request's id is a label because the same label set twice makes no second notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bridge.domain.model import ModelKey
from bridge.domain.request import HoldReason, RetrainRequest
from bridge.domain.times import MINUTE, Duration, Timestamp, rfc3339
from bridge.ports import Alert

REQUESTED = "ModelRetrainRequested"
HELD = "ModelRetrainHeld"
AWAITING_APPROVAL = "ModelRetrainAwaitingApproval"
ESCALATED = "ModelRetrainEscalated"
STORM = "ModelRetrainStorm"
_NAMES = {HoldReason.APPROVAL: AWAITING_APPROVAL, HoldReason.ATTEMPTS: ESCALATED}
_SAYS = {
    HoldReason.APPROVAL: "awaits approval",
    HoldReason.ATTEMPTS: "is up to people: retraining did not help",
}
RESERVED_LABELS = frozenset({"alertname", "project", "pipeline", "version", "rule", "retrain_request_id"})


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks: the URL under which people reach this bridge, and `global.external_labels`."""

    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def link(self, request_id: str) -> str:
        """Where people read more of a request; "" when the bridge does not know its own address."""
        return f"{self.external_url.rstrip('/')}/api/v1/requests/{request_id}" if self.external_url else ""


def lasts(every: Duration) -> Duration:
    """Return how far ahead of now the `endsAt` of an open alert is set: four re-posts, and no less than a restart."""
    return max(4 * every, MINUTE)


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """A firing `alert:` rule of one model. Labels are without those that every alert of this bridge has."""

    rule: str
    model: ModelKey
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: Timestamp
    interval: Duration


def identity(request: RetrainRequest, sender: Sender, alertname: str = REQUESTED) -> dict[str, str]:
    """The identity of a request's alert. External labels yield to the request's, and both to the reserved ones."""
    return {
        **sender.external_labels,
        **request.labels,
        "alertname": alertname,
        **request.model.labels(),
        "rule": request.rule,
        "retrain_request_id": request.id,
    }


def remarks(request: RetrainRequest, annotations: Mapping[str, str] | None = None) -> dict[str, str]:
    """`summary` and `description`, unless the rule wrote its own, and the rule's other annotations (the request's)."""
    reasons = request.reasons or (request.reason,)
    late = " Found late: the bridge was down when it began." if request.late else ""
    return {
        "summary": f"Retraining of {request.model} is asked for",
        "description": f"{'; '.join(reasons)} (rule {request.rule}, attempt {request.attempt}).{late}",
        **(request.annotations if annotations is None else annotations),
    }


def requested(
    request: RetrainRequest, sender: Sender, *, starts_at: Timestamp, ends_at: Timestamp, name: str = REQUESTED,
    annotations: Mapping[str, str] | None = None,
) -> Alert:  # fmt: skip
    """The alert that asks for the retraining; `ends_at` in the future while the episode is open.

    annotations: instead of those that the request was made with.
    """
    what = remarks(request, annotations)
    return Alert(identity(request, sender, name), what, starts_at, ends_at, sender.link(request.id))


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
    """The alert that says that a request waits: annotations `reason` (the gate) and `until` (RFC 3339, "" unknown)."""
    what = {
        **remarks(request, annotations),
        "summary": f"Retraining of {request.model} {_SAYS.get(reason, f'is held back: {reason.value}')}",
        "reason": reason.value,
        "until": rfc3339(until) if until else "",
    }
    name = _NAMES.get(reason, HELD)
    return Alert(identity(request, sender, name), what, starts_at, ends_at, sender.link(request.id))


def storm(
    group: str, count: int, sender: Sender, *, until: Timestamp, starts_at: Timestamp, ends_at: Timestamp
) -> Alert:
    """The alert of a storm: so many requests of a group are held as one incident."""
    labels = {**sender.external_labels, "alertname": STORM, "group": group}
    what = {
        "summary": f"{count} retrainings of group {group} are held: they began in one storm",
        "description": "So many models at once have most likely one cause that no retraining mends.",
        "until": rfc3339(until) if until else "",
    }
    return Alert(labels, what, starts_at, ends_at, sender.external_url)


def told(item: FiringAlert, sender: Sender, *, ends_at: Timestamp) -> Alert:
    """The alert of an `alert:` rule for one model."""
    labels = {**sender.external_labels, **item.labels}
    return Alert(labels, item.annotations, item.starts_at, ends_at, sender.external_url)
