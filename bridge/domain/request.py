"""Requests for a retraining, the episodes that they belong to, and the decisions about both."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec

from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import Timestamp, rfc3339

MANUAL = "manual"  # rule name of a request created by an operator
REQUEST_ID = re.compile(r"[0-9a-f]{32}")


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Numbers that one rule saw when it fired, in the signal's unit; None = no number."""

    rule: str
    signal: str
    event: str
    query: str
    value: float | None
    statistic: float | None
    threshold: float | None
    unit: str = ""
    series: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))


class RetrainRequest(msgspec.Struct, frozen=True, gc=False):
    """Request for one retraining of `model`. Created once, stored, and sent unchanged on every attempt.

    triggered_at: the slot, in ms since the epoch.
    rule: the leading rule.
    episode_start, attempt: with model and rule, the input of the id.
    reasons: one per linked rule.
    labels, annotations: as sent to Alertmanager, without those that the sink adds.
    late: True if the breach was found by catching up after downtime.
    """

    model: ModelKey
    reason: str
    triggered_at: Timestamp
    id: str
    rule: str
    episode_start: Timestamp
    attempt: int = 1
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    labels: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    annotations: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    late: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the request as the body of the coordinator's API: JSON types only, instants as RFC 3339."""
        return {
            "id": self.id,
            **self.model.labels(),
            "reason": self.reason,
            "reasons": list(self.reasons),
            "rule": self.rule,
            "attempt": self.attempt,
            "triggered_at": rfc3339(self.triggered_at),
            "episode_start": rfc3339(self.episode_start),
            "late": self.late,
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "evidence": [
                {
                    "rule": item.rule,
                    "signal": item.signal,
                    "event": item.event,
                    "query": item.query,
                    "value": _number(item.value),
                    "statistic": _number(item.statistic),
                    "threshold": _number(item.threshold),
                    "unit": item.unit,
                    "series": dict(item.series),
                }
                for item in self.evidence
            ],
        }


def _number(value: float | None) -> float | str | None:
    """Return a JSON value: NaN and infinities, which JSON lacks, become the strings that Prometheus uses."""
    if value is None or value - value == 0:
        return value
    return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")  # noqa: PLR0124 - the test for NaN


def request_id(model: ModelKey, rule: str, episode_start: Timestamp, attempt: int) -> str:
    """Return the id: the first 32 hex digits of a SHA-256 over the parts.

    Each part is hashed with its length, so that different parts never give the same input.
    """
    model_parts = _measured(model.project, model.pipeline, model.version)
    return hashlib.sha256(model_parts + _attempt(rule, episode_start, attempt)).hexdigest()[:32]


@lru_cache(maxsize=64)
def _attempt(rule: str, episode_start: Timestamp, attempt: int) -> bytes:
    """Return the parts that the requests of a slot have in common."""
    return _measured(rule, str(episode_start), str(attempt))


def _measured(*parts: str) -> bytes:
    """Return three parts, each after its length in bytes."""
    first, second, third = map(str.encode, parts)
    return b"%d:%b%d:%b%d:%b" % (len(first), first, len(second), second, len(third), third)


class RequestState(StrEnum):
    """State of a request."""

    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    MISSED = "missed"
    RECORDED = "recorded"  # dry run: decided like a live request, but not sent
    UNDELIVERED = "undelivered"  # every delivery is dead: no receiver accepted it
    CLOSED = "closed"  # the episode ended, and no receiver reports the request's outcome

    @property
    def in_flight(self) -> bool:
        """True if a retraining may be running or may start at any moment."""
        return self in _IN_FLIGHT

    @property
    def waiting(self) -> bool:
        """True if the request was created and not sent yet."""
        return self in _WAITING

    @property
    def terminal(self) -> bool:
        """True if the state is final."""
        return self not in _OPEN

    def may_become(self, new: RequestState) -> bool:
        """Return whether a coordinator's report may move a request from this state to `new`.

        Terminal states are final, except `undelivered`: a report proves that the request arrived after all.
        """
        order = [RequestState.UNDELIVERED, RequestState.REQUESTED, RequestState.ACCEPTED, RequestState.RUNNING]
        if self not in order or new not in {*order[2:], *COORDINATOR_ENDS}:
            return False
        return new in COORDINATOR_ENDS or order.index(new) > order.index(self)


_IN_FLIGHT = frozenset({RequestState.REQUESTED, RequestState.ACCEPTED, RequestState.RUNNING})
_WAITING = frozenset({RequestState.HELD, RequestState.AWAITING_APPROVAL})
_OPEN = _IN_FLIGHT | _WAITING
NOT_TAKEN = "no receiver accepted it: every delivery is dead"  # message of an undelivered request
COORDINATOR_ENDS = frozenset({RequestState.SUCCEEDED, RequestState.FAILED, RequestState.CANCELLED, RequestState.LOST})


class HoldReason(StrEnum):
    """Gate that holds a request. The order of the members is the order of the gates."""

    PAUSED = "paused"
    IN_FLIGHT = "in_flight"
    ATTEMPTS = "max_attempts"  # too many retrainings did not help: an operator decides
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    STORM = "storm"
    WEIGHING = "weighing"  # siblings may still follow
    NOT_THE_MODEL = "not_the_model"  # siblings breach too: a shared cause
    SILENCED = "silenced"
    SILENCES_UNKNOWN = "silences_unknown"
    MUTED = "muted"
    APPROVAL = "approval"


class RecoveryVerdict(StrEnum):
    """Verdict on whether a successful retraining helped. A closed set, so it is safe as a metric label."""

    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    INCONCLUSIVE = "inconclusive"


class Feedback(StrEnum):
    """Opinion of an operator on a request. A closed set, so it is safe as a metric label."""

    USEFUL = "useful"
    FALSE = "false"  # the model needed no retraining
    LATE = "late"  # useful, but too late


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """Action of an operator on a request: `approve`, `release`, `withdraw`, `create`, `discard` ..., or feedback.

    key: idempotency key of the call, "" = none. It is stored with the action, so that a repeated call finds it.
    """

    what: str
    who: str
    at: Timestamp
    note: str = ""
    key: str = ""


class RequestRecord(msgspec.Struct, frozen=True, gc=False):
    """Request with its current state. Instants in ms since the epoch, 0 = has not happened.

    receivers: names from the route.
    destinations: destinations for which a delivery was queued.
    hold: gate that holds it; hold_until: when that is expected to end, 0 = unknown.
    delivered_at: first 2xx of any destination.
    ended_at: when it became terminal.
    reference: the receiver's own id of the request or run.
    link: URL of the run for people.
    new_version: version that the retraining produced.
    acts: actions of people, oldest first.
    verdict: whether the retraining helped, None = no verdict yet; verdict_at: its slot.
    unhelpful: number of retrainings of the pipeline in a row that had not helped when this request was made.
    shared_cause: the latest shared cause that held it.
    feedback: latest opinion of an operator, None = none.
    """

    request: RetrainRequest
    state: RequestState
    updated_at: Timestamp
    receivers: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    hold: HoldReason | None = None
    hold_until: Timestamp = 0
    sent_at: Timestamp = 0
    delivered_at: Timestamp = 0
    ended_at: Timestamp = 0
    reference: str = ""
    link: str = ""
    message: str = ""
    new_version: str = ""
    acts: tuple[OperatorAction, ...] = ()
    verdict: RecoveryVerdict | None = None
    verdict_at: Timestamp = 0
    unhelpful: int = 0
    shared_cause: SharedCause | None = None
    feedback: Feedback | None = None

    def acted(self, what: str) -> bool:
        """Return whether someone performed the action `what` on the request."""
        return bool(self.acts) and any(act.what == what for act in self.acts)

    def act_of(self, key: str) -> OperatorAction | None:
        """Return the action that a call with this idempotency key performed; None if there is none."""
        return next((act for act in self.acts if key and act.key == key), None)

    @property
    def released_at(self) -> Timestamp:
        """Return when the request stopped being held, because it was sent or closed; 0 = it is held, or never was."""
        if self.state.waiting or self.state is RequestState.MISSED:
            return 0
        released = self.sent_at or self.ended_at
        return released if released > self.request.triggered_at else 0

    @property
    def replaces(self) -> bool:
        """Return whether its retraining put another version in the place of its model."""
        succeeded = self.state is RequestState.SUCCEEDED
        return succeeded and self.new_version not in {"", self.request.model.version}

    @property
    def id(self) -> str:
        """Id of the request."""
        return self.request.id

    @property
    def owner(self) -> PipelineKey:
        """Pipeline of the request's model."""
        return self.request.model.owner


class Episode(msgspec.Struct, frozen=True, gc=False):
    """Period in which at least one rule of a model fires.

    rules: linked rules, the leader first.
    ended_at: 0 = open.
    """

    model: ModelKey
    started_at: Timestamp
    leader: str
    rules: tuple[str, ...]
    attempts: int
    ended_at: Timestamp = 0
    end_reason: str = ""


class Outcome(StrEnum):
    """Outcome of a decision for a model and rule. A closed set, so it is safe as a metric label."""

    NONE = "none"
    REQUESTED = "requested"
    HELD = "held"
    JOINED = "joined"
    WITHDRAWN = "withdrawn"
    MISSED = "missed"
    EXPIRED = "expired"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NOTIFIED = "notified"  # an `alert:` rule fired: a notification, no request
    RECORDED = "recorded"  # a dry run or a shadow rule would have made a request
    ESCALATED = "escalated"  # max_attempts is reached: an operator must decide
    JUDGED = "judged"  # whether a retraining helped


class Decision(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Change of the state or reason of one rule for one model, with the numbers that explain it. Instants in ms.

    model: None = the rule as a whole (its query failed or its strategy raised).
    before, after: states of the rule.
    query_time: `time` parameter of the query.
    id: assigned by the store, ascending; 0 = not stored yet.
    """

    slot: Timestamp
    group: str
    rule: str
    model: ModelKey | None
    outcome: Outcome
    before: str
    after: str
    reason: str
    verdict: str = ""
    cause: str = ""
    value: float | None = None
    statistic: float | None = None
    threshold: float | None = None
    query: str = ""
    query_time: Timestamp = 0
    request_id: str = ""
    repeats: int = 0
    id: int = 0

    def __eq__(self, other: object) -> bool:
        """Return whether everything but the id, which the store assigns, is the same."""
        if not isinstance(other, Decision):
            return NotImplemented
        return msgspec.structs.astuple(self)[:-1] == msgspec.structs.astuple(other)[:-1]

    def __hash__(self) -> int:
        return hash(msgspec.structs.astuple(self)[:-1])
