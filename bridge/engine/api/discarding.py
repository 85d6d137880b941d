"""Discarding of deliveries to destinations that are not configured any more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from msgspec import structs

from bridge.domain.destination import receiver_of
from bridge.domain.request import OperatorAction, Outcome
from bridge.domain.times import Timestamp
from bridge.engine.access import EngineTransaction
from bridge.engine.api.operator_actions import rule_of
from bridge.engine.api.views import Discarded
from bridge.engine.engine import Engine
from bridge.engine.requests import decision_log
from bridge.ports import DeliveryRecord, Discard, History, Outbox

log = logging.getLogger(__name__)
DISCARD = "discard"
BATCH = 500  # deliveries that one transaction ends


@dataclass(frozen=True, slots=True)
class Discarding:
    """Discarding of deliveries on one engine. Each is committed with its author, as an action on its request.

    configured: returns the destinations of the configuration.
    settled: called with the ids of the requests whose deliveries have ended.
    """

    engine: Engine
    history: History
    outbox: Outbox
    configured: Callable[[], Collection[str]]
    now: Callable[[], Timestamp]
    settled: Callable[[Sequence[str]], None]

    def discard(self, receiver: str, who: str, note: str = "") -> Discarded:
        """End the deliveries to the destinations of a receiver that are not configured any more. Raises StoreError.

        Deliveries that are attempted now are left alone. A repeated call changes nothing.
        """
        configured = self.configured()
        removed = [name for name in self.outbox.depths() if name not in configured and receiver_of(name) == receiver]
        ended, requests = 0, set[str]()
        while removed and (batch := self.outbox.discardable(removed, self.now(), BATCH)):
            ids = sorted({item.request_id for item in batch})
            with self.engine.transact(self.now, self.history) as change:
                self._discard(change, ids, batch, who, note)
            self.settled(ids)
            ended += len(batch)
            requests |= {*ids}
        if ended:
            fields = {"destinations": removed, "count": ended, "requests": len(requests), "who": who}
            log.warning("deliveries discarded", extra=fields)
        return Discarded(removed if ended else (), ended, len(requests))

    def _discard(
        self, change: EngineTransaction, ids: Sequence[str], batch: Sequence[DeliveryRecord], who: str, note: str
    ) -> None:
        """Add the end of the deliveries, and the action on each of their requests, to the transaction."""
        change.discards += [
            Discard(*pair) for pair in dict.fromkeys((one.request_id, one.destination) for one in batch)
        ]
        for record in self.history.requests_by_id(ids):
            ended = dict.fromkeys(_described(item) for item in batch if item.request_id == record.id)
            said = "; ".join([*ended, *([note] if note else [])])
            action = OperatorAction(DISCARD, who, change.at, said)
            acted = structs.replace(record, acts=(*record.acts, action), updated_at=change.at)
            change.put_request(acted)
            text = f"deliveries discarded by {who}: {said}"
            group = rule_of(change.state, acted).group
            decision_log.record_request_decision(change.draft, group, acted, Outcome.NONE, text, change.at)


def _described(delivery: DeliveryRecord) -> str:
    """Return where a delivery was to, and how far it had come."""
    attempts = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    reason = f", last {delivery.reason}" if delivery.reason else ""
    return f"{delivery.destination} ({delivery.kind.value}, {delivery.state.value} after {attempts}{reason})"
