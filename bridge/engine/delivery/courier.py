"""Delivery of one destination's outbox: claim a batch with a lease, attempt each delivery once, settle the batch.

A delivery is claimed before it is sent: after a crash in between it is repeated when the lease ends, under the same id,
and is never lost. The store fences the settlement, so that a worker whose lease has ended changes nothing. Each
destination has its own courier, so that a slow or dead one delays no other. The batch begins with one delivery, grows
by one with every success, and is halved when an attempt fails.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from bridge.domain.times import SECOND, Duration, Timestamp, format_duration
from bridge.engine.delivery import breaker as circuit
from bridge.engine.delivery.attempt import Attempt, DeliveryLog, Message
from bridge.engine.delivery.backoff import TokenBucket, full_jitter
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.senders import AtOnce, InTurn, Senders
from bridge.ports import (
    AttemptReport,
    Breaker,
    Claim,
    Delivery,
    GroupedSink,
    Outbox,
    Result,
    Settlement,
    Sink,
)

log = logging.getLogger(__name__)


Now = Callable[[], Timestamp]
BATCH = 32  # smallest limit of the deliveries that are claimed ahead
SETTLE_AT = 16  # outcomes that are settled without waiting for more
SETTLE_AFTER: Duration = 50  # longest wait of an outcome
MESSAGE = 100  # most deliveries of a bundle in one message


class Courier:
    """Delivery worker of one destination, for one thread; it may send from others.

    report: called after every attempt.
    settled: called with the ids of the requests of which a delivery is delivered or dead.
    """

    def __init__(
        self,
        destination: str,
        sink: Sink,
        outbox: Outbox,
        worker: str,
        settings: DeliverySettings,
        report: Callable[[AttemptReport], None],
        settled: Callable[[Sequence[str]], None],
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
        self._log = DeliveryLog(destination)
        most = settings.max_in_flight
        self._senders: Senders[Message, Attempt] = (
            InTurn(self._attempt) if most == 1 else AtOnce(self._attempt, most, destination)
        )
        self._most = max(2 * most, BATCH)
        self._allowed = 1  # deliveries that may be claimed and not yet ended
        self._now: Now = lambda: 0
        self._probe_at: Timestamp = 0
        self._denied = False
        self._failures = 0  # counts failures, so that an attempt knows whether one ended while it lasted
        self._ended: list[Attempt] = []  # not stored yet
        self._breakers: tuple[Breaker, Breaker] | None = None  # before and after these attempts

    def step(self, now: Now) -> Timestamp | None:
        """Begin what is due, wait for an attempt to end, and return the instant of the next work, None if none waits.

        Call again at once if that instant is not after now. Raises StoreError: the outcome of an attempt is then kept
        in memory, and stored before the next attempt.
        """
        self._now = now
        if self._breakers is not None:
            self._settle()
        at = now()
        self._fill(self._outbox.breaker(self.destination), at)
        if self._senders.busy:
            self._collect()
            return now()  # the next claim shows whether there is more, which is cheaper than a query first
        following = self._next(now())
        if following is not None and following <= at:
            # Due but not claimable (leased elsewhere, or its firing delivery comes first): do not spin.
            return max(following, at + SECOND)
        return following

    def finish(self, now: Now) -> None:
        """Wait for the attempts in progress, settle them, and return what was claimed to the queue."""
        self._now = now
        self._release(self._senders.withdraw())
        while self._senders.busy:
            self._collect()
        if self._ended:
            self._settle()
        self._senders.close()

    # ------------------------------------------------------------ claiming

    def _next(self, now: Timestamp) -> Timestamp | None:
        due = self._outbox.next_due(self.destination)
        if due is None:
            return None
        breaker = self._outbox.breaker(self.destination)
        if breaker.failures:
            due = min(due, max(breaker.open_until, self._probe_at))
        return max(due, circuit.blocked_until(breaker, now), now + self._bucket.wait(now))

    def _fill(self, breaker: Breaker, at: Timestamp) -> None:
        """Claim what is due, and hand it to the senders, once half of what is allowed has ended."""
        allowed = 1 if circuit.is_open(breaker) else self._allowed
        room = allowed - self._senders.busy
        if 2 * room < allowed or circuit.blocked_until(breaker, at):
            return
        limit = min(room, self._bucket.available(at))
        for message in self._messages(self._claim(breaker, at, limit), at) if limit > 0 else ():
            self._bucket.take()
            self._senders.submit(message)

    def _claim(self, breaker: Breaker, now: Timestamp, limit: int) -> list[Claim]:
        claims = self._outbox.claim(self.destination, self._worker, now, self._settings.lease, limit)
        if not claims and breaker.failures and now >= self._probe_at and not self._senders.busy:
            # A probe needs something to send: pull a delivery forward that backs off.
            self._probe_at = now + self._settings.probe
            self._outbox.pull_forward(self.destination, now)
            claims = self._outbox.claim(self.destination, self._worker, now, self._settings.lease, 1)
        return claims

    def _messages(self, claims: Sequence[Claim], now: Timestamp) -> Iterator[Message]:
        """Yield what is sent together: each claim, or the claims of a bundle with its rest if the sink sends groups."""
        until = now + self._settings.lease - self._settings.attempt_deadline
        if not isinstance(self._sink, GroupedSink):
            yield from (Message([claim], until) for claim in claims)
            return
        for bundle, members in groupby(sorted(claims, key=_bundle), key=_bundle):
            same = list(members)
            if not bundle:
                yield from (Message([claim], until) for claim in same)
                continue
            rest = self._outbox.claim_rest(same[0], now, self._settings.lease, MESSAGE - len(same))
            yield Message([*same, *rest], until)

    def _release(self, messages: Sequence[Message]) -> None:
        """Return deliveries to the queue that were not attempted. Raises StoreError: their leases end by themselves."""
        self._bucket.give(len(messages))
        claims = [claim for message in messages for claim in message.claims]
        if claims:
            self._outbox.release(claims)

    # ------------------------------------------------------------ attempts

    def _attempt(self, message: Message) -> Attempt:
        """Send a message, unless its lease could end before the attempt does."""
        started, failures = self._now(), self._failures
        if started > message.until:
            return Attempt(message, None, started, started, failures)
        return Attempt(message, self._send(message.claims, started), started, self._now(), failures)

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

    def _collect(self) -> None:
        """Wait for attempts to end, judge them in that order, and settle them, perhaps with later ones."""
        late: list[Message] = []
        before = breaker = self._outbox.breaker(self.destination)
        done, failed = self._senders.collect(), False
        for attempt in done:
            if attempt.delivery is None:
                late.append(attempt.message)
            else:
                breaker = self._judge(attempt, attempt.delivery, breaker)
                failed = failed or attempt.failed
                self._ended.append(attempt)
        grown = min(self._allowed + len(done), self._most)
        self._allowed = max(1, self._allowed // 2) if failed or late else grown
        if circuit.blocked_until(breaker, self._now()) or circuit.is_open(breaker) or self._denied:
            self._allowed = 1
            late += self._senders.withdraw()
        if self._ended and (breaker != before or self._is_settling_time()):
            self._breakers = before, breaker
            self._settle()
        self._release(late)

    def _is_settling_time(self) -> bool:
        waited = self._now() - self._ended[0].ended
        return not self._senders.busy or len(self._ended) >= SETTLE_AT or waited >= SETTLE_AFTER

    def _judge(self, attempt: Attempt, delivery: Delivery, breaker: Breaker) -> Breaker:
        """Decide the outcome of an attempt, and return the breaker after it."""
        settings, current = self._settings, attempt.failures == self._failures
        after = circuit.after(
            breaker,
            delivery,
            settings,
            self._rng,
            started=attempt.started,
            ended=attempt.ended,
            denied_again=self._denied and current,
        )
        if not current:  # it began before the last failure ended, and says nothing about the time since
            after = circuit.worse(breaker, after)
        attempt.outcome, attempt.next_at = self._outcome(attempt.message.claims[0], delivery, after, attempt.ended)
        attempt.apart = attempt.outcome.result is Result.DEAD and len(attempt.message.claims) > 1
        if attempt.apart:  # the receiver may refuse one of them only: try each alone
            attempt.outcome, attempt.next_at = replace(attempt.outcome, result=Result.RETRY), attempt.ended
        self._probe_at = 0 if circuit.is_open(after) else attempt.started + settings.probe
        denied = delivery.result is Result.DENIED
        self._denied = denied if current else self._denied or denied
        if attempt.failed:
            self._failures += 1
        return after

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

    # ------------------------------------------------------------ settling

    def _settle(self) -> None:
        """Store the ended attempts and report them. Raises StoreError: the outcome of the write is then unknown."""
        breaker = self._outbox.breaker(self.destination)
        before, after = self._breakers = self._breakers or (breaker, breaker)
        made = self._ended
        settlements = [
            Settlement(item.message.claims, item.outcome, item.ended, item.next_at, item.apart) for item in made
        ]
        stored = self._store(made, settlements)
        circuit.save(self._outbox, before, after, made[-1].ended)
        over = [item.ids for item, kept in zip(made, stored, strict=True) if kept and item.over]
        if over:
            self._settled([id_ for ids in over for id_ in ids])
        self._ended, self._breakers = [], None
        for item, kept in zip(made, stored, strict=True):
            self._log.attempt(item, stored=kept)
            dead, seconds = item.outcome.result is Result.DEAD, (item.ended - item.started) / 1000
            for id_ in item.ids:
                self._report(AttemptReport(self.destination, item.outcome, seconds, dead, id_))

    def _store(self, made: Sequence[Attempt], settlements: Sequence[Settlement]) -> list[bool]:
        """Store attempts. Return for each whether the store holds it now, perhaps since an earlier try."""
        tried = [item.tried for item in made]
        for item in made:
            item.tried = True
        return [kept or again for kept, again in zip(self._outbox.settle(settlements), tried, strict=True)]


def _bundle(claim: Claim) -> str:
    return claim.bundle
