"""Response bodies of the API, as msgspec structs; their JSON Schemas are generated from the types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from bridge.domain.request import Outcome, RequestState
from bridge.engine.api.views import ModelState
from bridge.net.problem import Body, Problem
from bridge.web.api.fields import AlertState, Count, Event, Health, Labels, Number, Seconds, Time
from bridge.web.api.request_structs import Request, RequestWithDeliveries


class Alert(Body, rename="camel"):
    """Pending or firing alert. keepFiringSince: present only while `keep_firing_for` keeps it firing."""

    active_at: Time
    annotations: Labels
    labels: Labels
    state: AlertState
    value: str
    keep_firing_since: Time | UnsetType = UNSET


class FeedbackCounts(Body):
    """Number of requests by feedback."""

    useful: Count
    false: Count
    late: Count


class Retrainings(Body):
    """Number of retrainings by recovery verdict."""

    recovered: Count
    not_recovered: Count
    inconclusive: Count


class Rule(Body, rename="camel", kw_only=True):
    """Rule in the format of Prometheus, with the number of its retrainings by recovery verdict, and of its feedback."""

    type: Literal["alerting"]
    name: str
    query: str
    duration: Seconds
    keep_firing_for: Seconds
    labels: Labels
    annotations: Labels
    alerts: list[Alert]
    health: Health
    last_error: str | UnsetType = UNSET
    evaluation_time: Seconds
    last_evaluation: Time
    state: AlertState
    retrainings: Retrainings
    feedback: FeedbackCounts


class RuleGroup(Body, rename="camel"):
    """Rule group in the format of Prometheus."""

    name: str
    file: str
    interval: Seconds
    limit: Count
    rules: list[Rule]
    evaluation_time: Seconds
    last_evaluation: Time


class Crossing(Body):
    """Interval in which a value is expected to cross a limit. confidence: probability that it holds the crossing."""

    limit: Number
    earliest: Time
    latest: Time
    confidence: Number


class Signal(Body):
    """Latest reading of one rule for one model. crossing: null while no crossing is forecast."""

    rule: str
    signal: str
    event: Event
    unit: str
    value: Number | None
    threshold: Number | None
    verdict: str
    cause: str
    state: AlertState
    at: Time | None
    crossing: Crossing | None


class Model(Body):
    """Model with its state and latest readings."""

    project: str
    pipeline: str
    version: str
    state: ModelState
    last_request_at: Time | None
    last_request_id: str | None
    signals: list[Signal]


class Decision(Body):
    """Decision of one rule; project, pipeline and version are null if it concerns the whole rule."""

    id: Count
    slot: Time
    group: str
    rule: str
    project: str | None
    pipeline: str | None
    version: str | None
    outcome: Outcome
    before: str
    after: str
    reason: str
    verdict: str
    cause: str
    value: Number | None
    statistic: Number | None
    threshold: Number | None
    query: str
    query_time: Time | None
    request_id: str | None
    repeats: Count


class Check(Body):
    """Check before a request. passed: true continues, false stops here, null is unknown."""

    name: str
    passed: bool | None
    text: str


class Explanation(Body):
    """Explanation why a request was sent or not."""

    project: str
    pipeline: str
    version: str
    rule: str
    slot: Time | None
    answer: str
    recomputed: bool
    repeat: list[str]
    helped: str
    checks: list[Check]


class NextRetraining(Body):
    """Interval (90 %) in which a pipeline is expected to need its next retraining.

    since: end of the latest one. own, others: ended lifetimes of this pipeline, and of the others of its project.
    """

    since: Time
    earliest: Time
    latest: Time
    own: Count
    others: Count


class Forecast(Body):
    """Forecast for a pipeline; null while too little is known."""

    next_retraining: NextRetraining | None


class Trail(Body):
    """Recent values of one model for one rule, in columns of equal length."""

    rule: str
    signal: str
    unit: str
    slots: list[Time]
    value: list[Number | None]
    statistic: list[Number | None]
    threshold: list[Number | None]
    lower: list[Number | None]
    upper: list[Number | None]
    state: list[AlertState]


class Pause(Body):
    """Pause of a pipeline, a project or everything ("" = any)."""

    project: str
    pipeline: str
    until: Time
    who: str
    at: Time
    note: str
    scope: str


class Rules(Body):
    """Page of rule groups."""

    groups: list[RuleGroup]
    next_token: str | UnsetType = msgspec.field(name="groupNextToken", default=UNSET)


class Alerts(Body):
    """List of alerts."""

    alerts: list[Alert]


class Models(Body):
    """Page of models. total: number of all matches."""

    total: Count
    models: list[Model]


class SignalHistory(Body):
    """Earlier values of a signal for one model, oldest first."""

    slots: list[Time]
    value: list[Number | None]


class Trails(Body):
    """List of trails."""

    trails: list[Trail]


class BuildInfo(Body):
    """Versions of bridge and Python."""

    version: str
    python_version: str = msgspec.field(name="pythonVersion")


class Configuration(Body):
    """Configuration in force."""

    yaml: str


class CreatedSilence(Body):
    """Silence in Alertmanager."""

    id: str
    until: Time


class ConfigChange(Body):
    """Reload of the configuration. diff: unified difference of bridge.yml and the rule files; error: why it failed."""

    at: Time
    diff: str
    error: str | None


class ConfigChanges(Body):
    """Reloads since the start, newest first."""

    changes: list[ConfigChange]


class Replica(Body):
    """Replica of the fleet. config_seq: number of its configuration, in the order of use."""

    id: str
    address: str
    release: str
    owner: bool
    config_seq: Count = msgspec.field(name="configSeq")
    started_at: Time = msgspec.field(name="startedAt")
    seen_at: Time = msgspec.field(name="seenAt")


class Fleet(Body):
    """Fleet: owner ("" without one), its fence and the start of its ownership, and the replicas seen lately."""

    owner: str
    fence: Count
    since: Time | None
    replicas: list[Replica]


class Decisions(Body):
    """Page of decisions. next: value of `before` for the next page."""

    decisions: list[Decision]
    next: Count | None


class Explanations(Body):
    """List of explanations."""

    explanations: list[Explanation]


class Requests(Body):
    """Page of requests. next: value of `after` for the next page."""

    requests: list[Request]
    next: str | None


class Redriven(Body):
    """Number of deliveries that were queued again."""

    redriven: Count


class Retried(Body):
    """Number of deliveries that are retried at once."""

    retried: Count


class Status(Body):
    """Present state of a request."""

    id: str
    state: RequestState


class Pauses(Body):
    """List of active pauses."""

    pauses: list[Pause]


_REQUEST = "/api/v1/requests/{request_id}"
# (method, path) -> type of `data` in the envelope.
DATA: Mapping[tuple[str, str], type[Body]] = {
    ("get", "/api/v1/rules"): Rules,
    ("get", "/api/v1/alerts"): Alerts,
    ("get", "/api/v1/models"): Models,
    ("get", "/api/v1/trail"): Trails,
    ("get", "/api/v1/history"): SignalHistory,
    ("get", "/api/v1/status/buildinfo"): BuildInfo,
    ("get", "/api/v1/status/config"): Configuration,
    ("get", "/api/v1/status/config/changes"): ConfigChanges,
    ("post", "/api/v1/silences"): CreatedSilence,
    ("get", "/api/v1/status/fleet"): Fleet,
    ("get", "/api/v1/decisions"): Decisions,
    ("get", "/api/v1/explain"): Explanations,
    ("get", "/api/v1/forecast"): Forecast,
    ("get", "/api/v1/requests"): Requests,
    ("get", _REQUEST): RequestWithDeliveries,
    ("post", "/api/v1/requests"): Request,
    ("post", f"{_REQUEST}/redrive"): Redriven,
    ("post", f"{_REQUEST}/retry"): Retried,
    ("post", f"{_REQUEST}/status"): Status,
    ("post", f"{_REQUEST}/approve"): Request,
    ("post", f"{_REQUEST}/feedback"): Request,
    ("post", f"{_REQUEST}/release"): Request,
    ("post", f"{_REQUEST}/withdraw"): Request,
    ("post", f"{_REQUEST}/cancel"): Request,
    ("post", f"{_REQUEST}/start-again"): Request,
    ("get", "/api/v1/pause"): Pauses,
    ("post", "/api/v1/pause"): Pause,
}


def ref(body: type[Body]) -> dict[str, Any]:
    """Return a reference to the schema of a body."""
    return {"$ref": f"#/components/schemas/{body.__name__}"}


def schemas() -> dict[str, Any]:
    """Return the JSON Schemas of all bodies by name."""
    _, components = msgspec.json.schema_components(
        [Problem, *dict.fromkeys(DATA.values())], ref_template="#/components/schemas/{name}"
    )
    return components
