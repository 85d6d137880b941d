"""What the outside sees of a running bridge: frozen records, and the two Protocols that the web layer is built on.

`Queries` reads, `Commands` acts; both are implemented in engine/api/queries.py and engine/api/commands.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bridge.domain.explain import Explanation
from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, RecoveryVerdict, RequestRecord
from bridge.domain.silence import Silence
from bridge.domain.times import Duration, Timestamp
from bridge.ports import DecisionFilter, DeliveryRecord, Pause, QueueDepth, RequestFilter, StatusReport


class ModelState(StrEnum):
    """The one present state of a model, the worst first wins: a closed set, so it may be a metric's label."""

    RETRAINING = "retraining"
    RETRAIN_REQUESTED = "retrain_requested"
    AWAITING_APPROVAL = "awaiting_approval"
    HELD = "held"
    DEGRADED = "degraded"
    NO_DATA = "no_data"
    COOLDOWN = "cooldown"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class AlertView:
    """A pending or firing rule of one model. state: "pending" | "firing"; value in the signal's unit (NaN unknown)."""

    rule: str
    model: ModelKey
    state: str
    active_at: Timestamp
    fired_at: Timestamp
    keep_since: Timestamp
    value: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule and how its last evaluation went. health: "ok" | "err" | "unknown"; seconds: of the last evaluation.

    pending, firing: of how many models; alerts: those, or the first of them. alertname: of its alerts, which several
    rules may share.
    """

    name: str
    group: str
    file: str
    query: str
    strategy: str
    for_: Duration
    keep_firing_for: Duration
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str  # "inactive" | "pending" | "firing": the worst of its models
    health: str
    last_error: str
    last_evaluation: Timestamp
    seconds: float
    models: int
    alerts: Sequence[AlertView]
    pending: int = 0
    firing: int = 0
    alertname: str = ""


@dataclass(frozen=True, slots=True)
class GroupView:
    """A rule group; last_evaluation 0 = never. limit: most series that an answer may hold, 0 = any."""

    name: str
    file: str
    interval: Duration
    limit: int
    last_evaluation: Timestamp
    seconds: float
    missed: int
    rules: Sequence[RuleView]


@dataclass(frozen=True, slots=True)
class SignalView:
    """What one rule last saw of one model. value, threshold: in the signal's unit, NaN = none. verdict: a word.

    active_at: since when the rule is pending or firing for the model, 0 = it is not.
    """

    rule: str
    signal: str
    event: str
    unit: str
    value: float
    threshold: float
    verdict: str
    cause: str
    state: str
    at: Timestamp
    active_at: Timestamp = 0


@dataclass(frozen=True, slots=True)
class TrailView:
    """What one rule saw of one model over its last slots, oldest first, all of one length; NaN = none.

    value, and lower and upper of what is usual, in the signal's unit; statistic in the unit of threshold. state: 0
    inactive, 1 pending, 2 firing.
    """

    slots: Sequence[Timestamp]
    value: Sequence[float]
    statistic: Sequence[float]
    threshold: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    state: Sequence[int]


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model now. last_request_at 0 = never asked. held: the gate that holds its request, "" = none does."""

    model: ModelKey
    state: ModelState
    signals: Sequence[SignalView]
    last_request_at: Timestamp
    last_request_id: str
    last_request_event: str
    held: str = ""


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Some of the models that were looked for. total: how many were found; counts: of all models, by state."""

    models: Sequence[ModelView]
    total: int
    counts: Mapping[ModelState, int]


@dataclass(frozen=True, slots=True)
class SilenceView:
    """A silence of Alertmanager's that is in force, and the requests that it holds or may cover (at most 100)."""

    silence: Silence
    requests: Sequence[RequestRecord]


@dataclass(frozen=True, slots=True)
class SilencesView:
    """Some of the silences in force, those that hold requests first. total: how many there are in all.

    fetched_at: when they were read last, 0 = never. fresh: whether that is recent enough to count; when it is not, no
    silence holds, and every request does wait if `holds_unknown`. failing: Alertmanager's address -> why it does not
    answer.
    """

    silences: Sequence[SilenceView]
    total: int
    fetched_at: Timestamp
    fresh: bool
    holds_unknown: bool
    failing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """Whether the new configuration is in force; if not, why."""

    ok: bool
    message: str = ""


class Queries(Protocol):
    """Reads. Cheap enough to be called on every scrape, and never waits for a query or a receiver."""

    def ready(self) -> tuple[bool, str]:
        """Whether the bridge can do its work (store opened, configuration loaded, every group scheduled); else why."""
        ...

    def groups(self, *, alerts: int | None = None) -> list[GroupView]:
        """Every group with its rules; at most so many alerts of each rule, None: all."""
        ...

    def models(self, *, unhealthy_only: bool = False) -> list[ModelView]: ...

    def model(self, model: ModelKey) -> ModelView | None:
        """One model; None when no rule has seen it."""
        ...

    def model_page(
        self, *, text: str = "", states: Collection[ModelState] = (), offset: int = 0, limit: int = 50
    ) -> ModelPage:
        """Models whose name holds every word of `text`, in one of `states` (none: any); the worst first."""
        ...

    def trails(self, models: Sequence[ModelKey], last: int = 0) -> Sequence[Mapping[str, TrailView]]:
        """Of each model, by rule, what was seen since the bridge started; last: only so many slots, 0 = all."""
        ...

    def model_counts(self) -> Mapping[ModelState, int]:
        """How many models are in each state, every state included."""
        ...

    def decisions(self, which: DecisionFilter) -> list[Decision]: ...

    def requests(self, which: RequestFilter) -> list[RequestRecord]: ...

    def episodes(self, model: ModelKey) -> list[Episode]:
        """The last ones of a model, the newest first, open ones included."""
        ...

    def request(self, request_id: str) -> RequestRecord | None: ...

    def deliveries(self, request_id: str) -> list[DeliveryRecord]: ...

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]: ...

    def queue_depths(self) -> Mapping[str, QueueDepth]:
        """By destination ("receiver/integration/index"), every configured one included."""
        ...

    def request_counts(self) -> Mapping[str, int]:
        """Open requests by state (every non-terminal state included, 0 where none)."""
        ...

    def last_missed(self) -> Timestamp:
        """When the last episode ended that had begun and ended unseen; 0 = there was none. Raises StoreError."""
        ...

    def explain(self, model: ModelKey, rule: str = "", at: Timestamp = 0) -> list[Explanation]:
        """Why there was (no) request, by rule; at 0: now. RequestError, SourceError."""
        ...

    def repeat(self, decision: Decision) -> list[str]:
        """Shell commands that ask the decision's queries again at its instant; none when they are not known apart."""
        ...

    def group_times(self) -> list[tuple[str, Timestamp, Duration]]:
        """Name, last slot (0 = never) and interval of every group, without its rules."""
        ...

    def rule_models(self) -> list[tuple[str, str, int]]:
        """Group, name and number of known models of every rule on signals (an `expr` rule may rightly know none)."""
        ...

    def never_judged(self) -> list[tuple[str, str, int]]:
        """Group and name of every rule on signals, and of how many models it has long had numbers without a verdict."""
        ...

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """By rule, how many retrainings that it led to were judged how."""
        ...

    def unclear_silences(self) -> int:
        """Return how many silences in force cannot be understood."""
        ...

    def silences(self, offset: int = 0, limit: int = 50) -> SilencesView | None:
        """Alertmanager's silences in force; None when no Alertmanager is asked for them."""
        ...

    def configuration(self) -> str:
        """The loaded configuration as YAML, secrets as `<secret>`."""
        ...


class Commands(Protocol):
    """Acts. Raises RequestError when the present state does not allow it, StoreError when it cannot be recorded."""

    def reload(self) -> ReloadResult: ...

    def report_status(self, report: StatusReport) -> RequestRecord:
        """A coordinator's word on a request; a report that is older or repeats what is known changes nothing."""
        ...

    def redrive(self, request_id: str, destination: str | None = None) -> int:
        """Queue dead deliveries again; how many."""
        ...

    def retry(self, request_id: str) -> int:
        """Deliveries that wait for a retry are tried at once, unless their destination's breaker is open; how many."""
        ...

    def act(self, request_id: str, what: str, who: str, note: str = "") -> RequestRecord:
        """`approve`, `release` or `withdraw` a request that is held."""
        ...

    def create(self, model: ModelKey, reason: str, who: str, *, force: bool = False) -> RequestRecord:
        """Ask for a retraining by hand; a closed gate refuses it, unless forced."""
        ...

    def pause(self, project: str, pipeline: str, length: Duration, who: str, note: str = "") -> Pause:
        """Send nothing of the pipeline ("" = of any) for `length` ms; 0: go on."""
        ...

    def pauses(self) -> list[Pause]: ...
