"""Gates of a request: collection of their input, and the resulting state of the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from msgspec.structs import replace

from bridge.domain import gate
from bridge.domain.gate import GateInput, Hold, PipelineLoad
from bridge.domain.request import HoldReason, RequestRecord, RequestState, RetrainRequest
from bridge.domain.rule import Gates, Mode, Rule
from bridge.domain.silence import Silence
from bridge.domain.times import Duration, Timestamp
from bridge.engine.requests.episodes import TickTransaction
from bridge.engine.requests.siblings import Weighing
from bridge.ports import Kind, NewDelivery, SilenceSnapshot

REQUEST_ALERT = "ModelRetrainRequested"


@dataclass(frozen=True, slots=True)
class NotificationGroup:
    """Group of requests that share a message.

    labels: common values of the `group_by` labels.
    wait: time window in ms.
    """

    labels: Mapping[str, str]
    wait: Duration


@dataclass(frozen=True, slots=True)
class Recipients:
    """Recipients of a request.

    receivers: names of receivers.
    destinations: "receiver/integration/index" of each entry.
    bundles: group of the request, by destination that accepts several requests in one message.
    """

    receivers: tuple[str, ...]
    destinations: tuple[str, ...]
    bundles: Mapping[str, NotificationGroup] = field(default_factory=lambda: MappingProxyType({}))


class Routing(Protocol):
    """Configured routes."""

    def recipients(self, labels: Mapping[str, str]) -> Recipients:
        """Return the recipients of a request with these labels."""
        ...

    @property
    def timed(self) -> bool:
        """True if any route has time intervals."""
        ...

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        """Return when the time intervals of the routes stop muting such a request; 0 = not muted."""
        ...

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the request's labels plus the external labels of this bridge's alerts."""
        ...

    def tracked(self, destinations: Sequence[str]) -> bool:
        """Return whether one of the destinations reports the outcome of requests."""
        ...

    def wants_resolved(self, destination: str) -> bool:
        """Return whether the destination gets a notification through the outbox when an episode ends."""
        ...


def not_weighed(_record: RequestRecord, _slot: Timestamp) -> Weighing:
    """Return that the breach is the model's own: no siblings are configured."""
    return Weighing()


def unknown_silences() -> SilenceSnapshot | None:
    """Return None: no Alertmanager is configured."""
    return None


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Evaluation of the gates for requests.

    silences: returns the known silences; None = no Alertmanager is configured, nothing is silenced.
    storms: group -> start and end of the storm that holds its requests.
    weigh: weighs a request against its model's siblings at a slot.
    """

    routing: Routing
    gates: Gates
    silences: Callable[[], SilenceSnapshot | None] = unknown_silences
    storms: dict[str, tuple[Timestamp, Timestamp]] = field(default_factory=dict)
    weigh: Callable[[RequestRecord, Timestamp], Weighing] = not_weighed

    def settle(self, tick: TickTransaction, record: RequestRecord, rule: Rule, slot: Timestamp) -> RequestRecord:
        """Send or hold the request according to the gates, and record the change."""
        now = None if record.acted("release") else self.situation(tick, record, rule, slot)
        hold = None if now is None else gate.check(now)
        if now is not None and hold is not None:
            approval = hold.reason is HoldReason.APPROVAL
            state = RequestState.AWAITING_APPROVAL if approval else RequestState.HELD
            cause = now.shared_cause if hold.reason is HoldReason.NOT_THE_MODEL else record.shared_cause
            settled = replace(record, state=state, hold=hold.reason, hold_until=hold.until, shared_cause=cause)
        else:
            settled = self.let_go(tick, record, rule, slot, None if now is None else now.load)
        if settled != record:
            tick.put_request(settled)
        return settled

    def let_go(
        self,
        tick: TickTransaction,
        record: RequestRecord,
        rule: Rule,
        slot: Timestamp,
        load: PipelineLoad | None = None,
    ) -> RequestRecord:
        """Return the request as sent, with its deliveries queued; in a dry run it is only recorded.

        load: of its pipeline, None = not known yet.
        """
        unhelpful = (load or tick.load(record.owner, self.gates.in_flight_limit)).unhelpful
        if rule.mode is not Mode.LIVE:
            return replace(
                record, hold=None, hold_until=0, unhelpful=unhelpful, sent_at=slot, updated_at=slot,
                state=RequestState.RECORDED, ended_at=slot, message="dry run: not sent",
            )  # fmt: skip
        to = self.routing.recipients(route_labels(record.request))
        tick.deliveries += [_delivery(record.id, destination, to, slot) for destination in to.destinations]
        return replace(
            record, hold=None, hold_until=0, unhelpful=unhelpful, sent_at=slot, updated_at=slot,
            state=RequestState.REQUESTED, receivers=to.receivers, destinations=to.destinations,
        )  # fmt: skip

    def hold(self, tick: TickTransaction, record: RequestRecord, rule: Rule, slot: Timestamp) -> Hold | None:
        """Return the first closed gate; None if all are open or an operator released the request."""
        return None if record.acted("release") else gate.check(self.situation(tick, record, rule, slot))

    def situation(self, tick: TickTransaction, record: RequestRecord, rule: Rule, slot: Timestamp) -> GateInput:
        """Return the input of the gates."""
        owner = record.owner
        load = tick.load(owner, self.gates.in_flight_limit)
        silenced, unknown = self._silenced(record, slot)
        weighed = self.weigh(record, slot)
        return GateInput(
            slot, load, rule.cooldown.after(load.unhelpful), rule.max_attempts,
            paused_until=tick.committed.paused_until(owner, slot),
            budget_until=tick.budget_until(owner, self.gates),
            storm_until=self._storm(record, rule),
            weighing_until=weighed.wait_until, shared_cause=weighed.cause, shared_until=weighed.until,
            silenced_until=silenced, silences_unknown=unknown,
            muted_until=self._muted_until(record, slot),
            unapproved=rule.approval and not record.acted("approve"),
        )  # fmt: skip

    def _storm(self, record: RequestRecord, rule: Rule) -> Timestamp:
        """Return until when a request made in a storm is held, even if another gate has held it since."""
        since, until = self.storms.get(rule.group, (0, 0))
        during = since <= record.request.triggered_at < until
        return max(until if during else 0, record.hold_until if record.hold is HoldReason.STORM else 0)

    def _muted_until(self, record: RequestRecord, slot: Timestamp) -> Timestamp:
        return self.routing.muted_until(route_labels(record.request), slot) if self.routing.timed else 0

    def _silenced(self, record: RequestRecord, slot: Timestamp) -> tuple[Timestamp, bool]:
        """Return until when a silence matches the request, and whether it is unknown if one does."""
        known = self.silences()
        if known is None:
            return 0, False
        if not known.fetched_at or slot - known.fetched_at > self.gates.silences_max_age:
            return 0, self.gates.hold_unknown
        if not known.silences:
            return 0, False
        identity = self.routing.identity(request_labels(record))
        until = max((item.ends_at for item in covering(known.silences, identity, slot)), default=0)
        return until, bool(unclear(known.silences, identity, slot))

    def silencing(self, record: RequestRecord, slot: Timestamp) -> list[Silence]:
        """Return the silences that match the request."""
        known = self.silences()
        return covering(known.silences, self.routing.identity(request_labels(record)), slot) if known else []

    def unclear(self, record: RequestRecord, slot: Timestamp) -> list[Silence]:
        """Return the silences that may match the request and cannot be parsed."""
        known = self.silences()
        return unclear(known.silences, self.routing.identity(request_labels(record)), slot) if known else []


def _delivery(request_id: str, destination: str, recipients: Recipients, slot: Timestamp) -> NewDelivery:
    group = recipients.bundles.get(destination)
    if group is None:
        return NewDelivery(request_id, destination, Kind.FIRING)
    begins = slot // group.wait * group.wait
    name = _name(begins, tuple(sorted(group.labels.items())))
    return NewDelivery(request_id, destination, Kind.FIRING, name, begins + group.wait)


@lru_cache(maxsize=1024)
def _name(begins: Timestamp, labels: tuple[tuple[str, str], ...]) -> str:
    """Return the key of a shared message; most requests of a slot share few."""
    return json.dumps({"at": begins, "labels": dict(labels)}, sort_keys=True)


def covering(silences: Sequence[Silence], labels: Mapping[str, str], at: Timestamp) -> list[Silence]:
    """Return the silences that match an alert with these labels."""
    return [item for item in silences if item.silences(labels, at)]


def unclear(silences: Sequence[Silence], labels: Mapping[str, str], at: Timestamp) -> list[Silence]:
    """Return the silences that may match an alert with these labels and cannot be parsed."""
    return [item for item in silences if item.may_silence(labels, at)]


def route_labels(request: RetrainRequest) -> dict[str, str]:
    """Return the labels that routes match: those of the alert without the request's id."""
    return {**request.labels, "alertname": REQUEST_ALERT, **request.model.labels(), "rule": request.rule}


def request_labels(record: RequestRecord) -> dict[str, str]:
    """Return the labels that silences match."""
    return {**route_labels(record.request), "retrain_request_id": record.id}
