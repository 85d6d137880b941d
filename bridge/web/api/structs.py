"""Response bodies about rules, models, decisions, silences and pauses."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from bridge.domain.request import Outcome
from bridge.engine.api.views import ModelState
from bridge.net.problem import Body
from bridge.web.api.fields import AlertState, Count, Event, Health, Labels, Number, Seconds, Time


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


class AlertTotals(Body):
    """Number of alerts by state."""

    pending: Count
    firing: Count


class Rule(Body, rename="camel", kw_only=True):
    """Rule in the format of Prometheus, with the number of its retrainings by recovery verdict, and of its feedback.

    recent_requests: number of its requests that were made in the last 7 days, and sent.
    totals: number of all its alerts; absent without `limit_alerts`.
    """

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
    recent_requests: Count
    totals: AlertTotals | UnsetType = UNSET


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
    """Latest reading of one rule for one model.

    value: null if the expression of the rule returns nothing for the model, "NaN" if the value is unknown.
    crossing: null while no crossing is forecast.
    """

    rule: str
    signal: str
    event: Event
    unit: str
    value: Number | None
    statistic: Number | None
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
    """Explanation why a request was sent or not.

    helped, detects: in words, or empty.
    """

    project: str
    pipeline: str
    version: str
    rule: str
    slot: Time | None
    answer: str
    recomputed: bool
    repeat: list[str]
    helped: str
    detects: str
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
    """List of alerts. total: number of all alerts; absent if the list is complete by request."""

    alerts: list[Alert]
    total: int | UnsetType = UNSET


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


class CreatedSilence(Body):
    """Silence in Alertmanager."""

    id: str
    until: Time


class ExpiredSilence(Body):
    """Silence that was ended."""

    id: str


class Silence(Body):
    """Silence in force. unclear: what could not be parsed, else null; requests: ids of those that it holds."""

    id: str
    matchers: list[str]
    ends_at: Time
    created_by: str
    comment: str
    unclear: str | None
    requests: list[str]


class Silences(Body):
    """Page of the silences in force, those that hold requests first. total: their number."""

    silences: list[Silence]
    total: Count


class Decisions(Body):
    """Page of decisions. next: value of `before` for the next page."""

    decisions: list[Decision]
    next: Count | None


class Explanations(Body):
    """List of explanations."""

    explanations: list[Explanation]


class Pauses(Body):
    """List of active pauses."""

    pauses: list[Pause]
