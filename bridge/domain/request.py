"""A request for one retraining, the episode that it belongs to, and what became of both."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.times import Timestamp, rfc3339

MANUAL = "manual"  # the rule of a request that a person made
REQUEST_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one rule saw when it fired. Numbers are in the signal's unit; None where there was none."""

    rule: str
    signal: str
    event: str
    query: str
    value: float | None
    statistic: float | None
    threshold: float | None
    unit: str = ""
    series: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """Ask for one retraining of `model`, for `reason`. Made once, stored, and sent as it is however often.

    triggered_at: the slot, ms since the epoch. episode_start, attempt, rule: what the id is made of (`rule` leads).
    labels, annotations: as sent to Alertmanager, without those that the sink adds. reasons: one per linked rule.
    late: found by catching up after a down-time.
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
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    late: bool = False

    def to_json(self) -> dict[str, Any]:
        """The body of the coordinator's API: JSON types only, instants as RFC 3339."""
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
    """JSON has no NaN and no infinities: those travel as Prometheus writes them."""
    if value is None or value - value == 0:
        return value
    return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")  # noqa: PLR0124 - the test for NaN


def request_id(model: ModelKey, rule: str, episode_start: Timestamp, attempt: int) -> str:
    """First 32 hex digits of SHA-256 over the parts, each with its length, so that no two sets of parts collide."""
    parts = (model.project, model.pipeline, model.version, rule, str(episode_start), str(attempt))
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(b"%d:" % len(encoded) + encoded)
    return digest.hexdigest()[:32]


class RequestState(StrEnum):
    """What became of a request."""

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
    RECORDED = "recorded"  # dry run: all as if, but sent to nobody
    UNDELIVERED = "undelivered"  # every delivery is dead: no receiver took it
    CLOSED = "closed"  # the episode ended, and no receiver of it reports what became of the request

    @property
    def in_flight(self) -> bool:
        """A retraining may be running, or may start at any moment."""
        return self in {RequestState.REQUESTED, RequestState.ACCEPTED, RequestState.RUNNING}

    @property
    def waiting(self) -> bool:
        """Made, and not sent yet."""
        return self in {RequestState.HELD, RequestState.AWAITING_APPROVAL}

    @property
    def terminal(self) -> bool:
        return not self.in_flight and not self.waiting

    def may_become(self, new: RequestState) -> bool:
        """Whether a coordinator's report may move a request from this state to `new`; terminal states are final.

        But for `undelivered`: a report proves that it arrived after all.
        """
        order = [RequestState.UNDELIVERED, RequestState.REQUESTED, RequestState.ACCEPTED, RequestState.RUNNING]
        if self not in order or new not in {*order[2:], *COORDINATOR_ENDS}:
            return False
        return new in COORDINATOR_ENDS or order.index(new) > order.index(self)


NOT_TAKEN = "no receiver took it: every delivery is dead"  # the message of an undelivered request
COORDINATOR_ENDS = frozenset({RequestState.SUCCEEDED, RequestState.FAILED, RequestState.CANCELLED, RequestState.LOST})


class HoldReason(StrEnum):
    """Which gate holds a request. The order is the order of the gates."""

    PAUSED = "paused"
    IN_FLIGHT = "in_flight"
    ATTEMPTS = "max_attempts"  # retraining did not help so often: people decide
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    STORM = "storm"
    SILENCED = "silenced"
    SILENCES_UNKNOWN = "silences_unknown"
    MUTED = "muted"
    APPROVAL = "approval"


class RecoveryVerdict(StrEnum):
    """Whether a retraining that succeeded did help; a closed set, so it may be a metric's label."""

    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """What a person did to a request: `approve`, `release`, `withdraw` or `create`."""

    what: str
    who: str
    at: Timestamp
    note: str = ""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request and what became of it. Instants in ms since the epoch, 0 = has not happened.

    receivers: names from the route. destinations: where it was queued. delivered_at: first 2xx of any destination.
    ended_at: when it became terminal. reference: the coordinator's own name for it. new_version: what it trained.
    hold: why it is held; hold_until: when that is expected to end (0 = unknown). acts: of people, oldest first.
    verdict: whether the retraining helped, None = not judged (yet); verdict_at. unhelpful: how many retrainings of the
    pipeline in a row had not helped when this request was made.
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
    message: str = ""
    new_version: str = ""
    acts: tuple[OperatorAction, ...] = ()
    verdict: RecoveryVerdict | None = None
    verdict_at: Timestamp = 0
    unhelpful: int = 0

    def acted(self, what: str) -> bool:
        """Whether somebody did `what` to it."""
        return any(act.what == what for act in self.acts)

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def owner(self) -> PipelineKey:
        return self.request.model.owner


@dataclass(frozen=True, slots=True)
class Episode:
    """The time in which at least one rule of a model fires. ended_at 0 = open. rules: linked ones, the leader first."""

    model: ModelKey
    started_at: Timestamp
    leader: str
    rules: tuple[str, ...]
    attempts: int
    ended_at: Timestamp = 0
    end_reason: str = ""


class Outcome(StrEnum):
    """What a tick decided for a model and rule; a closed set, so it may be a metric's label."""

    NONE = "none"
    REQUESTED = "requested"
    HELD = "held"
    JOINED = "joined"
    WITHDRAWN = "withdrawn"
    MISSED = "missed"
    EXPIRED = "expired"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NOTIFIED = "notified"  # an `alert:` rule fired: people are told, no request
    RECORDED = "recorded"  # a dry run or a shadow rule would have asked
    ESCALATED = "escalated"  # max_attempts is reached: people are asked instead
    JUDGED = "judged"  # whether a retraining helped


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of (state, reason) of one rule for one model, with all that explains it. Instants in ms.

    model None: the rule as a whole (its query failed, its strategy raised). before, after: states of the rule.
    query_time: the `time` parameter the query was made with. id: given by the store, later ones are greater; 0 = not
    kept yet.
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
    id: int = field(default=0, compare=False)
