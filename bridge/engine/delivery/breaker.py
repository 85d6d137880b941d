"""Circuit breaker of a destination: pure functions over the stored record.

Closed: everything due is sent. After `breaker_failures` retryable failures in a row it opens: nothing is sent until
`open_until`, then one attempt probes (half-open). A failed probe opens it again, a successful one closes it. Probes are
at most `probe` apart, however long single deliveries back off.
A pause is independent of it: the receiver sent Retry-After, or refused the credential.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from bridge.domain.times import HOUR, MINUTE, SECOND, Duration, Timestamp
from bridge.ports import Breaker, Delivery, Outbox, RateLimit, Result

TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Settings of a destination. Durations in ms. Raises ValueError for a lease that is too short.

    `probe` and `denied_delay` bound the time until the recovery of a receiver is noticed.

    attempt_deadline: total time of one HTTP attempt.
    lease: validity of a claim; longer than `attempt_deadline`, or a slow attempt would be repeated in parallel.
    backoff_base, backoff_max: back-off of one delivery.
    give_up: age at which a delivery that fails again is dead.
    breaker_failures: consecutive retryable failures that open the breaker.
    probe: longest time between two probes.
    denied_delay: pause of a destination that refused the credential twice in a row.
    rate: None = no limit.
    max_in_flight: most attempts at once.
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
    max_in_flight: int = 1

    def __post_init__(self) -> None:
        if self.lease <= self.attempt_deadline:
            raise ValueError(f"lease ({self.lease} ms) must be longer than attempt_deadline ({self.attempt_deadline})")
        if self.breaker_failures < 1:
            raise ValueError("breaker_failures must be at least 1")


def blocked_until(breaker: Breaker, now: Timestamp) -> Timestamp:
    """Return the instant from which the destination may be tried, 0 = now."""
    until = max(breaker.open_until, breaker.paused_until)
    return until if until > now else 0


def is_open(breaker: Breaker) -> bool:
    """Return True if the breaker is open or half-open: the next attempt is a probe."""
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
    """Return the breaker after one attempt.

    started, ended: instants of the attempt; probes are spaced by their starts.
    denied_again: True if the previous attempt was denied too, so that reading the credential again did not help.
    """
    if delivery.result in (Result.DELIVERED, Result.DEAD, Result.HELD):
        # A final refusal of one delivery, or a hold, still proves that the receiver is up.
        return Breaker(breaker.destination)
    if delivery.result is Result.DENIED:
        pause = ended + settings.denied_delay if denied_again else 0
        return Breaker(breaker.destination, paused_until=pause)
    if delivery.retry_after > 0:
        # The receiver answered and gave a time: not a failure, the pause protects it.
        # A 429 is honoured exactly. Other statuses are estimates: one probe within `probe` does no harm.
        wait = delivery.retry_after if delivery.status == TOO_MANY else min(delivery.retry_after, settings.probe)
        return Breaker(breaker.destination, paused_until=ended + wait)
    failures = breaker.failures + 1
    if failures < settings.breaker_failures and not is_open(breaker):
        return Breaker(breaker.destination, failures)
    wait = rng.randint(settings.probe // 2, settings.probe)
    return Breaker(breaker.destination, failures, open_until=max(started + wait, ended + 1))


def worse(breaker: Breaker, after: Breaker) -> Breaker:
    """Return the breaker after an attempt that began before the destination failed: it can only make it worse."""
    return Breaker(
        breaker.destination,
        max(breaker.failures, after.failures),
        max(breaker.open_until, after.open_until),
        max(breaker.paused_until, after.paused_until),
    )


def save(outbox: Outbox, before: Breaker, after: Breaker, now: Timestamp) -> None:
    """Store the breaker after an attempt; if the attempt closed it, make all waiting deliveries due now.

    The order makes a failure harmless: either step is repeated after the next attempt.
    """
    if is_open(before) and not is_open(after):
        outbox.pull_forward(before.destination, now)
    if after != before:
        outbox.save_breaker(after)
