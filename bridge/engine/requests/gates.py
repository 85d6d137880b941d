"""What the gates look at for one request, gathered; and what a request becomes when it has passed them or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

from bridge.domain import gate
from bridge.domain.gate import Hold, Situation
from bridge.domain.request import HoldReason, RequestRecord, RequestState, RetrainRequest
from bridge.domain.rule import Gates, Mode, Rule
from bridge.domain.silence import Silence
from bridge.domain.times import Duration, Timestamp
from bridge.engine.requests.episodes import TickTransaction
from bridge.ports import Kind, NewDelivery, SilenceSnapshot

REQUEST_ALERT = "ModelRetrainRequested"


@dataclass(frozen=True, slots=True)
class NotificationGroup:
    """What a request goes together with: the values of these labels, within windows of `wait` ms."""

    labels: Mapping[str, str]
    wait: Duration


@dataclass(frozen=True, slots=True)
class Recipients:
    """Where a request goes: receivers by name, and their destinations ("receiver/integration/index").

    bundles: of the destinations that take several requests in one message.
    """

    receivers: tuple[str, ...]
    destinations: tuple[str, ...]
    bundles: Mapping[str, NotificationGroup] = field(default_factory=lambda: MappingProxyType({}))


class Routing(Protocol):
    """The configured routes."""

    def way(self, labels: Mapping[str, str]) -> Recipients: ...

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """When the time intervals of the routes no longer mute such a request; 0 = they do not."""
        ...

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels of a request with those that every alert of this bridge has."""
        ...

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Whether one of them reports what became of a request."""
        ...

    def wants_resolved(self, destination: str) -> bool:
        """Whether the destination is told through the outbox that an episode ended."""
        ...


def unknown_silences() -> SilenceSnapshot | None:
    """There is no Alertmanager to ask."""
    return None


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Lets requests through, or holds them. silences: what is known of them; None: nobody to ask, nothing is silenced.

    storms: group -> since when and until when requests that it makes are held.
    """

    routing: Routing
    gates: Gates
    silences: Callable[[], SilenceSnapshot | None] = unknown_silences
    storms: dict[str, tuple[Timestamp, Timestamp]] = field(default_factory=dict)

    def settle(self, draft: TickTransaction, record: RequestRecord, rule: Rule, slot: Timestamp) -> RequestRecord:
        """Hold the request or let it go, and put it down."""
        hold = self.hold(draft, record, rule, slot)
        if hold is not None:
            approval = hold.reason is HoldReason.APPROVAL
            state = RequestState.AWAITING_APPROVAL if approval else RequestState.HELD
            settled = replace(record, state=state, hold=hold.reason, hold_until=hold.until)
        else:
            settled = self.let_go(draft, record, rule, slot)
        if settled != record:
            draft.put_request(settled)
        return settled

    def let_go(self, draft: TickTransaction, record: RequestRecord, rule: Rule, slot: Timestamp) -> RequestRecord:
        """The request as sent, its deliveries queued; in a dry run it is only recorded."""
        unhelpful = draft.load(record.owner, self.gates.in_flight_limit).unhelpful
        gone = replace(record, hold=None, hold_until=0, sent_at=slot, updated_at=slot, unhelpful=unhelpful)
        if rule.mode is not Mode.LIVE:
            return replace(gone, state=RequestState.RECORDED, ended_at=slot, message="dry run: sent to nobody")
        way = self.routing.way(route_labels(record.request))
        draft.deliveries.extend(_delivery(record.id, place, way, slot) for place in way.destinations)
        return replace(gone, state=RequestState.REQUESTED, receivers=way.receivers, destinations=way.destinations)

    def hold(self, draft: TickTransaction, record: RequestRecord, rule: Rule, slot: Timestamp) -> Hold | None:
        """The first closed gate; None when all are open, or when a person released it."""
        return None if record.acted("release") else gate.check(self.situation(draft, record, rule, slot))

    def situation(self, draft: TickTransaction, record: RequestRecord, rule: Rule, slot: Timestamp) -> Situation:
        """What the gates look at."""
        load = draft.load(record.owner, self.gates.in_flight_limit)
        labels = route_labels(record.request)
        silenced, unknown = self._silenced(request_labels(record), slot)
        return Situation(
            slot, load, rule.cooldown.after(load.unhelpful), rule.max_attempts,
            paused_until=draft.book.paused_until(record.owner, slot),
            budget_until=draft.budget_until(record.owner, self.gates),
            storm_until=self._storm(record, rule),
            silenced_until=silenced, silences_unknown=unknown,
            muted_until=self.routing.muted_until(labels, slot),
            unapproved=rule.approval and not record.acted("approve"),
        )  # fmt: skip

    def _storm(self, record: RequestRecord, rule: Rule) -> Timestamp:
        """Until when a request waits that was made in a storm, whatever else held it meanwhile."""
        since, until = self.storms.get(rule.group, (0, 0))
        during = since <= record.request.triggered_at < until
        return max(until if during else 0, record.hold_until if record.hold is HoldReason.STORM else 0)

    def _silenced(self, labels: Mapping[str, str], slot: Timestamp) -> tuple[Timestamp, bool]:
        """Return until when a silence covers the request, and whether nobody knows if one does."""
        known = self.silences()
        if known is None:
            return 0, False
        if not known.fetched_at or slot - known.fetched_at > self.gates.silences_max_age:
            return 0, self.gates.hold_unknown
        identity = self.routing.identity(labels)
        until = max((item.ends_at for item in covering(known.silences, identity, slot)), default=0)
        return until, bool(unclear(known.silences, identity, slot))

    def unclear(self, record: RequestRecord, slot: Timestamp) -> list[Silence]:
        """Return the silences that may cover the request and cannot be understood."""
        known = self.silences()
        return unclear(known.silences, self.routing.identity(request_labels(record)), slot) if known else []


def _delivery(request_id: str, destination: str, way: Recipients, slot: Timestamp) -> NewDelivery:
    bundle = way.bundles.get(destination)
    if bundle is None:
        return NewDelivery(request_id, destination, Kind.FIRING)
    begins = slot // bundle.wait * bundle.wait
    name = json.dumps({"at": begins, "labels": dict(bundle.labels)}, sort_keys=True)
    return NewDelivery(request_id, destination, Kind.FIRING, name, begins + bundle.wait)


def covering(silences: Sequence[Silence], labels: Mapping[str, str], at: Timestamp) -> list[Silence]:
    """The silences that cover an alert with these labels."""
    return [item for item in silences if item.silences(labels, at)]


def unclear(silences: Sequence[Silence], labels: Mapping[str, str], at: Timestamp) -> list[Silence]:
    """Return the silences that may cover an alert with these labels, and cannot be understood."""
    return [item for item in silences if item.may_silence(labels, at)]


def route_labels(request: RetrainRequest) -> dict[str, str]:
    """The labels that routes match: those of the alert, but for the request's id."""
    return {**request.labels, "alertname": REQUEST_ALERT, **request.model.labels(), "rule": request.rule}


def request_labels(record: RequestRecord) -> dict[str, str]:
    """The labels that silences match."""
    return {**route_labels(record.request), "retrain_request_id": record.id}
