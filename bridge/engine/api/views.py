"""Views of a running bridge: what queries of it return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import msgspec

from bridge.domain.model import ModelKey
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Crossing
from bridge.engine.api.alert_views import AlertView


class ModelState(StrEnum):
    """Present state of a model, worst first. A closed set, because it is the label of a metric.

    REPLACED: a retraining has put another version in its place.
    """

    RETRAINING = "retraining"
    RETRAIN_REQUESTED = "retrain_requested"
    AWAITING_APPROVAL = "awaiting_approval"
    HELD = "held"
    DEGRADED = "degraded"
    NO_DATA = "no_data"
    COOLDOWN = "cooldown"
    HEALTHY = "healthy"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class RuleView:
    """Rule and its last evaluation.

    state: "inactive" | "pending" | "firing", the worst of its models.
    health: "ok" | "err" | "unknown".
    seconds: duration of the last evaluation.
    models: number of known models.
    alerts: pending and firing models, at most as many as were requested.
    pending, firing: number of models in that state.
    alertname: name of its alerts, which several rules may share.
    params: parameters of the strategy.
    cooldown: after its first retraining.
    approval: whether its requests await one.
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
    state: str
    health: str
    last_error: str
    last_evaluation: Timestamp
    seconds: float
    models: int
    alerts: Sequence[AlertView]
    pending: int = 0
    firing: int = 0
    alertname: str = ""
    params: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    cooldown: Duration = 0
    approval: bool = False


@dataclass(frozen=True, slots=True)
class GroupView:
    """Rule group.

    limit: largest number of series in an answer, 0 = unlimited.
    last_evaluation: last slot, 0 = never.
    seconds: duration of the last evaluation.
    missed: slots that were not evaluated on time.
    """

    name: str
    file: str
    interval: Duration
    limit: int
    last_evaluation: Timestamp
    seconds: float
    missed: int
    rules: Sequence[RuleView]


class SignalView(msgspec.Struct, frozen=True, gc=False):
    """Latest value of one rule for one model.

    value: in the signal's unit, NaN = none.
    statistic, threshold: in the strategy's unit, NaN = none.
    verdict: verdict code in lower case. at: slot of the evaluation.
    since: start of the pending or firing state, 0 = inactive. crossing: None = no crossing is forecast.
    empty: True for an `expr` rule whose expression returns nothing for the model; it has no value then.
    """

    rule: str
    signal: str
    event: str
    unit: str
    value: float
    statistic: float
    threshold: float
    verdict: str
    cause: str
    state: str
    at: Timestamp
    since: Timestamp = 0
    crossing: Crossing | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True)
class TrailView:
    """Values of one rule for one model over its last slots, oldest first. All columns have one length; NaN = none.

    value: in the signal's unit.
    statistic, threshold: in the strategy's unit.
    lower, upper: range that the strategy expects, in the signal's unit.
    state: 0 inactive, 1 pending, 2 firing.
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
    """Present state of one model.

    last_request_at: 0 = never requested; last_request_event: kind of event that led to it.
    run_url: run of the last request, "" = unknown; held: the gate that holds its request, "" = none.
    replaced_by: version that its last retraining produced, "" = none; recovery: whether that helped, "" = unknown.
    """

    model: ModelKey
    state: ModelState
    signals: Sequence[SignalView]
    last_request_at: Timestamp
    last_request_id: str
    last_request_event: str
    held: str = ""
    replaced_by: str = ""
    recovery: str = ""
    run_url: str = ""


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Page of the models found by a search.

    total: number of models found.
    counts: number of all models by state.
    """

    models: Sequence[ModelView]
    total: int
    counts: Mapping[ModelState, int]


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """Result of a reload. message: the reason when the new configuration was not applied."""

    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Discarded:
    """Deliveries that an operator ended.

    destinations: to which they were.
    deliveries, requests: their number, and that of their requests.
    """

    destinations: Sequence[str] = ()
    deliveries: int = 0
    requests: int = 0
