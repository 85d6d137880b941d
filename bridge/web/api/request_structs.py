"""Response bodies about requests, their deliveries and their runs."""

from __future__ import annotations

from bridge.domain.request import Feedback, HoldReason, RecoveryVerdict, RequestState
from bridge.net.problem import Body
from bridge.ports import DeliveryState, Kind, RunState
from bridge.web.api.fields import Count, Labels, Number, Time


class Evidence(Body):
    """Numbers behind a request."""

    rule: str
    signal: str
    event: str
    query: str
    value: Number | None
    statistic: Number | None
    threshold: Number | None
    unit: str
    series: Labels


class Act(Body):
    """Operator action on a request."""

    what: str
    who: str
    at: Time
    note: str


class Delivery(Body):
    """Delivery of a request to one destination. configured: whether the configuration has the destination."""

    id: Count
    request_id: str
    destination: str
    configured: bool
    kind: Kind
    state: DeliveryState
    attempts: Count
    queued_at: Time
    next_at: Time | None
    updated_at: Time
    reason: str
    status: Count
    answer: str


class SharedCause(Body):
    """Evidence that a breach is not the model's own: unhealthy siblings with the same label value.

    label: "" if all models are meant. models: some of the unhealthy ones, as project/pipeline.
    """

    label: str
    value: str
    breached: Count
    total: Count
    others_breached: Count
    others: Count
    since: Time
    models: list[str]
    text: str


class Request(Body):
    """Retrain request with its state."""

    id: str
    project: str
    pipeline: str
    version: str
    reason: str
    reasons: list[str]
    rule: str
    attempt: Count
    triggered_at: Time
    episode_start: Time
    late: bool
    labels: Labels
    annotations: Labels
    evidence: list[Evidence]
    state: RequestState
    hold: HoldReason | None
    receivers: list[str]
    destinations: list[str]
    hold_until: Time | None
    sent_at: Time | None
    delivered_at: Time | None
    ended_at: Time | None
    updated_at: Time | None
    reference: str
    link: str
    message: str
    new_version: str
    acts: list[Act]
    verdict: RecoveryVerdict | None
    verdict_at: Time | None
    unhelpful: Count
    shared_cause: SharedCause | None
    feedback: Feedback | None


class Run(Body):
    """Run that a request started in an orchestrator. reference: the server's id; overdue: past start_deadline."""

    destination: str
    name: str
    state: RunState
    reference: str
    link: str
    message: str
    new_version: str
    sent_at: Time | None
    seen_at: Time | None
    started_at: Time | None
    ended_at: Time | None
    cancel_at: Time | None
    overdue: bool


class RequestWithDeliveries(Request):
    """Retrain request with its state, deliveries and runs."""

    deliveries: list[Delivery]
    runs: list[Run]


class Requests(Body):
    """Page of requests. next: value of `after` for the next page."""

    requests: list[Request]
    next: str | None


class Deliveries(Body):
    """Deliveries that are not made yet: pending and dead ones, oldest first."""

    deliveries: list[Delivery]


class Redriven(Body):
    """Number of deliveries that were queued again."""

    redriven: Count


class Retried(Body):
    """Number of deliveries that are retried at once."""

    retried: Count


class Discarded(Body):
    """Deliveries that were ended: number, number of their requests, and destinations."""

    discarded: Count
    requests: Count
    destinations: list[str]


class Status(Body):
    """Present state of a request."""

    id: str
    state: RequestState
