"""Delivery of one destination's outbox: claim with a lease, one attempt, settle.

A delivery is claimed before it is sent: after a crash in between it is repeated when the lease ends, under the same id,
and is never lost. The store fences the settlement, so that a worker whose lease has ended changes nothing. Each
destination has its own courier and thread, so that a slow or dead one delays no other.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bridge.domain.times import SECOND, Timestamp, format_duration
from bridge.engine.delivery import breaker as circuit
from bridge.engine.delivery.backoff import TokenBucket, full_jitter
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.ports import AttemptReport, Breaker, Claim, Delivery, GroupedSink, Outbox, Result, Sink

log = logging.getLogger(__name__)


Now = Callable[[], Timestamp]


@dataclass(slots=True)
class _Made:
    """Attempt whose outcome is not stored yet.

    next_at: when the next attempt is due.
    apart: True if the claims of a group are to be tried one by one.
    before, after: the breaker.
    again: True once storing the outcome was tried.
    """

    claims: Sequence[Claim]
    outcome: Delivery
    next_at: Timestamp
    started: Timestamp
    ended: Timestamp
    apart: bool
    before: Breaker
    after: Breaker
    again: bool = False

    @property
    def over(self) -> bool:
        return self.outcome.result in (Result.DELIVERED, Result.DEAD)


class Courier:
    """Delivery worker of one destination, for one thread.

    report: called after every attempt.
    settled: called with the request's id when one of its deliveries is delivered or dead.
    """

    def __init__(
        self,
        destination: str,
        sink: Sink,
        outbox: Outbox,
        worker: str,
        settings: DeliverySettings,
        report: Callable[[AttemptReport], None],
        settled: Callable[[str], None],
        rng: random.Random,
    ) -> None:
        self.destination = destination
        self._sink = sink
        self._outbox = outbox
        self._worker = worker
        self._settings = settings
        self._report = report
        self._settled = settled
        self._rng = rng
        self._bucket = TokenBucket(settings.rate)
        self._probe_at: Timestamp = 0
        self._denied = False
        self._logged = ""
        self._made: _Made | None = None  # not stored yet

    def step(self, now: Now) -> Timestamp | None:
        """Make at most one attempt and return the instant of the next work, None if nothing waits.

        Call again at once if that instant is not after now. Raises StoreError: the outcome of an attempt is then kept
        in memory, and stored before the next attempt.
        """
        if self._made is not None:
            self._settle(self._made)
        at = now()
        breaker = self._outbox.breaker(self.destination)
        claim = None
        if not circuit.blocked_until(breaker, at) and not self._bucket.wait(at):
            claim = self._claim(breaker, at)
            if claim is not None and self._attempt(self._with_rest(claim, at), breaker, now):
                return now()  # the next claim shows whether there is more, which is cheaper than a query first
        following = self._next(now())
        if claim is None and following is not None:
            # Due but not claimable (leased elsewhere, or its firing delivery comes first): do not spin.
            return max(following, at + SECOND) if following <= at else following
        return following

    def _next(self, now: Timestamp) -> Timestamp | None:
        due = self._outbox.next_due(self.destination)
        if due is None:
            return None
        breaker = self._outbox.breaker(self.destination)
        if breaker.failures:
            due = min(due, max(breaker.open_until, self._probe_at))
        return max(due, circuit.blocked_until(breaker, now), now + self._bucket.wait(now))

    def _claim(self, breaker: Breaker, now: Timestamp) -> Claim | None:
        claims = self._outbox.claim(self.destination, self._worker, now, self._settings.lease)
        if not claims and breaker.failures and now >= self._probe_at:
            # A probe needs something to send: pull a delivery forward that backs off.
            self._probe_at = now + self._settings.probe
            self._outbox.pull_forward(self.destination, now)
            claims = self._outbox.claim(self.destination, self._worker, now, self._settings.lease)
        return claims[0] if claims else None

    def _with_rest(self, claim: Claim, now: Timestamp) -> list[Claim]:
        """Return the claim, with the others of its group if the sink sends groups."""
        if not claim.bundle or not isinstance(self._sink, GroupedSink):
            return [claim]
        return [claim, *self._outbox.claim_rest(claim, now, self._settings.lease)]

    def _attempt(self, claims: Sequence[Claim], breaker: Breaker, now: Now) -> bool:
        """Send, settle and report. Return True if these deliveries have ended."""
        claim = claims[0]
        self._bucket.take()
        started = now()
        delivery = self._send(claims, started)
        ended = now()
        after = circuit.after(
            breaker,
            delivery,
            self._settings,
            self._rng,
            started=started,
            ended=ended,
            denied_again=self._denied,
        )
        outcome, next_at = self._outcome(claim, delivery, after, ended)
        self._probe_at = 0 if circuit.is_open(after) else started + self._settings.probe
        self._denied = delivery.result is Result.DENIED
        apart = outcome.result is Result.DEAD and len(claims) > 1
        if apart:  # the receiver may refuse one of them only: try each alone
            outcome, next_at = replace(outcome, result=Result.RETRY), ended
        self._made = made = _Made(claims, outcome, next_at, started, ended, apart, breaker, after)
        self._settle(made)
        return made.over or apart

    def _settle(self, made: _Made) -> None:
        """Store an attempt and report it. Raises StoreError: the outcome of the write is then unknown."""
        stored = self._store(made)
        circuit.save(self._outbox, made.before, made.after, made.ended)
        if stored and made.over:
            for claim in made.claims:
                self._settled(claim.notification.request.id)
        self._made = None
        dead = made.outcome.result is Result.DEAD
        for claim in made.claims:
            request_id = claim.notification.request.id
            self._log(claim, made.outcome, stored=stored)
            seconds = (made.ended - made.started) / 1000
            self._report(AttemptReport(self.destination, made.outcome, seconds, dead, request_id))

    def _store(self, made: _Made) -> bool:
        """Store an attempt. Return True if the store now holds it; a repeated try may have been stored before."""
        again, made.again = made.again, True
        if len(made.claims) > 1:
            given = (made.outcome, made.ended, made.next_at)
            return self._outbox.settle_bundle(made.claims, *given, apart=made.apart) or again
        return self._outbox.settle(made.claims[0], made.outcome, made.ended, made.next_at) or again

    def _send(self, claims: Sequence[Claim], now: Timestamp) -> Delivery:
        claim = claims[0]
        try:
            if len(claims) > 1 and isinstance(self._sink, GroupedSink):
                group = json.loads(claim.bundle)["labels"]
                return self._sink.send_group([one.notification for one in claims], group, now)
            return self._sink.send(claim.notification, now)
        except Exception as error:  # a defect in a sink must lose neither the request nor the thread
            log.exception(
                "sink failed", extra={"destination": self.destination, "request_id": claim.notification.request.id}
            )
            return Delivery(Result.RETRY, "internal", answer=type(error).__name__)

    def _outcome(self, claim: Claim, delivery: Delivery, after: Breaker, now: Timestamp) -> tuple[Delivery, Timestamp]:
        """Return the outcome to record, and the instant of the next attempt."""
        if delivery.result in (Result.DELIVERED, Result.DEAD):
            return delivery, now
        if delivery.result is Result.HELD:
            return delivery, now + delivery.retry_after
        if now - claim.queued_at >= self._settings.give_up:
            given_up = f"gave up after {format_duration(self._settings.give_up)}: {delivery.answer}"
            return replace(delivery, result=Result.DEAD, answer=given_up), now
        if after.paused_until:
            return delivery, after.paused_until
        if delivery.result is Result.DENIED:
            return delivery, now  # at once: the sink reads its credential at every attempt
        settings = self._settings
        return delivery, now + full_jitter(claim.attempt, settings.backoff_base, settings.backoff_max, self._rng)

    def _log(self, claim: Claim, delivery: Delivery, *, stored: bool) -> None:
        """Log every delivered or dead delivery, but a failure only when it changes."""
        fields = {
            "destination": self.destination,
            "request_id": claim.notification.request.id,
            "kind": claim.notification.kind.value,
            "attempt": claim.attempt,
            "reason": delivery.reason,
            "status": delivery.status,
        }
        if not stored:
            log.warning("delivery was settled by another worker", extra=fields)
            return
        previous, self._logged = self._logged, f"{delivery.result} {delivery.reason} {delivery.status}"
        if delivery.result is Result.DELIVERED:
            log.info("delivered", extra=fields)
        elif delivery.result is Result.DEAD:
            log.error("delivery is dead", extra={**fields, "answer": delivery.answer})
        elif previous != self._logged:
            level = logging.ERROR if delivery.result is Result.DENIED else logging.WARNING
            log.log(level, "delivery failed, will be retried", extra={**fields, "answer": delivery.answer})
