"""The circuit breaker of a destination: pure, over the record that the store keeps.

Closed: everything due is sent. After `breaker_failures` retryable failures in a row it opens: nothing is sent until
`open_until`, then one attempt probes (half-open). A failed probe opens it again, a good one closes it. Probes are
never further apart than `probe`, however long the single deliveries back off.
Apart from it a pause: the receiver asked for time (Retry-After), or refused our credential.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from bridge.domain.times import HOUR, MINUTE, SECOND, Duration, Timestamp
from bridge.ports import Breaker, Delivery, Outbox, RateLimit, Result

TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How a destination is served. Durations in ms.

    lease: how long a claim is ours; longer than `attempt_deadline`, or a slow answer would be asked for twice.
    attempt_deadline: total time of one HTTP attempt, as the sink keeps it.
    backoff_base, backoff_max: of one delivery. give_up: a delivery older than this is dead when it fails again.
    breaker_failures: retryable failures in a row that open the breaker; probe: longest time between two probes.
    denied_delay: pause of a destination that refused our credential twice in a row. rate: None = no limit.
    Of these, `probe` and `denied_delay` say how long a receiver that is well again may go unnoticed.
    """

    attempt_deadline: Duration = 10 * SECOND
    lease: Duration = 30 * SECOND
    backoff_base: Duration = 5 * SECOND
    backoff_max: Duration = 15 * MINUTE
    give_up: Duration = 72 * HOUR
    breaker_failures: int = 3
    probe: Duration = 30 * SECOND
    denied_delay: Duration = 30 * SECOND
    rate: RateLimit | None = None

    def __post_init__(self) -> None:
        if self.lease <= self.attempt_deadline:
            raise ValueError(f"lease ({self.lease} ms) must be longer than attempt_deadline ({self.attempt_deadline})")
        if self.breaker_failures < 1:
            raise ValueError("breaker_failures must be at least 1")


def blocked_until(breaker: Breaker, now: Timestamp) -> Timestamp:
    """When the destination may be tried (again); 0 = now."""
    until = max(breaker.open_until, breaker.paused_until)
    return until if until > now else 0


def is_open(breaker: Breaker) -> bool:
    """Open or half-open: the next attempt is a probe."""
    return breaker.open_until > 0


def after(
    breaker: Breaker,
    delivery: Delivery,
    settings: DeliverySettings,
    rng: random.Random,
    *,
    started: Timestamp,
    ended: Timestamp,
    denied_again: bool = False,
) -> Breaker:
    """The breaker after one attempt.

    started, ended: of the attempt; probes are spaced by their starts. denied_again: the attempt before was denied too,
    so that reading the credential again did not help.
    """
    if delivery.result in (Result.DELIVERED, Result.DEAD):
        # A refusal that is final for one delivery still proves that the receiver is alive.
        return Breaker(breaker.destination)
    if delivery.result is Result.DENIED:
        pause = ended + settings.denied_delay if denied_again else 0
        return Breaker(breaker.destination, paused_until=pause)
    if delivery.retry_after > 0:
        # It answered and said when: no failure to count, the pause is the protection.
        # A 429 is meant literally; else it is a guess, and one probe within `probe` burdens nobody.
        wait = delivery.retry_after if delivery.status == TOO_MANY else min(delivery.retry_after, settings.probe)
        return Breaker(breaker.destination, paused_until=ended + wait)
    failures = breaker.failures + 1
    if failures < settings.breaker_failures and not is_open(breaker):
        return Breaker(breaker.destination, failures)
    wait = rng.randint(settings.probe // 2, settings.probe)
    return Breaker(breaker.destination, failures, open_until=max(started + wait, ended + 1))


def keep(outbox: Outbox, before: Breaker, after: Breaker, now: Timestamp) -> None:
    """Store what an attempt made of the breaker; when that closed it, everything that waits becomes due now.

    In this order: whatever fails is done again after the next attempt.
    """
    if is_open(before) and not is_open(after):
        outbox.pull_forward(before.destination, now)
    if after != before:
        outbox.save_breaker(after)
