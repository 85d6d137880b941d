"""Attempts of a courier, and the log of their outcomes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.domain.times import Timestamp
from bridge.ports import Claim, Delivery, Result

log = logging.getLogger(__name__)
_NONE = Delivery(Result.RETRY, "internal")


@dataclass(frozen=True, slots=True)
class Message:
    """Deliveries that are sent together.

    until: last instant at which an attempt may begin, so that it ends within the lease.
    """

    claims: Sequence[Claim]
    until: Timestamp


@dataclass(slots=True)
class Attempt:
    """Attempt that has ended.

    delivery: what the sink returned, None = not begun, because its lease would have ended first.
    failures: number of failures of the destination when it began.
    outcome, next_at: what to store, and when the next attempt is due.
    apart: True if the claims of a bundle are to be tried one by one.
    tried: True once storing the outcome was tried.
    """

    message: Message
    delivery: Delivery | None
    started: Timestamp
    ended: Timestamp
    failures: int
    outcome: Delivery = field(default=_NONE)
    next_at: Timestamp = 0
    apart: bool = False
    tried: bool = False

    @property
    def failed(self) -> bool:
        """Return whether the destination failed, and not only this delivery."""
        return self.delivery is not None and self.delivery.result in (Result.RETRY, Result.DENIED)

    @property
    def over(self) -> bool:
        """Return whether the deliveries have ended."""
        return self.outcome.result in (Result.DELIVERED, Result.DEAD)

    @property
    def ids(self) -> list[str]:
        """Ids of the requests."""
        return [claim.notification.request.id for claim in self.message.claims]


class DeliveryLog:
    """Log of a destination: every delivered or dead delivery, but a failure only when it changes."""

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._previous = ""

    def attempt(self, attempt: Attempt, *, stored: bool) -> None:
        """Log a settled attempt, one line for each of its deliveries."""
        for claim in attempt.message.claims:
            self._delivery(claim, attempt.outcome, stored=stored)

    def _delivery(self, claim: Claim, delivery: Delivery, *, stored: bool) -> None:
        fields = {
            "destination": self._destination,
            "request_id": claim.notification.request.id,
            "kind": claim.notification.kind.value,
            "attempt": claim.attempt,
            "reason": delivery.reason,
            "status": delivery.status,
        }
        if not stored:
            log.warning("delivery was settled by another worker", extra=fields)
            return
        previous, self._previous = self._previous, f"{delivery.result} {delivery.reason} {delivery.status}"
        if delivery.result is Result.DELIVERED:
            log.info("delivered", extra=fields)
        elif delivery.result is Result.DEAD:
            log.error("delivery is dead", extra={**fields, "answer": delivery.answer})
        elif previous != self._previous:
            level = logging.ERROR if delivery.result is Result.DENIED else logging.WARNING
            log.log(level, "delivery failed, will be retried", extra={**fields, "answer": delivery.answer})
