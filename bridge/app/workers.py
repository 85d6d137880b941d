"""Delivery workers of a configuration: a courier for each destination, a resender for each Alertmanager."""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bridge.app.adapters import Adapters
from bridge.app.couriers import Worker
from bridge.domain.destination import discard_command
from bridge.domain.errors import StoreError
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.engine.delivery.resend import OpenAlerts, Resender, ResendSettings
from bridge.ports import AlertSink, AttemptReport, Sink, Store
from bridge.ports.request_alerts import Sender

log = logging.getLogger(__name__)


def build_workers(
    adapters: Adapters,
    alerts: OpenAlerts,
    store: Store,
    common: DeliverySettings,
    external_url: str,
    *,
    report: Callable[[AttemptReport], None],
    settled: Callable[[Sequence[str]], None],
) -> dict[str, Worker]:
    """Return the workers by name.

    common: settings of every destination; a sink may set its deadline and rate.
    report: called after every attempt.
    settled: called with the ids of the requests of which deliveries have ended.
    """
    workers: dict[str, Worker] = {}
    global_ = adapters.config.global_
    sender = Sender(external_url, global_.external_labels)
    resend, rng = ResendSettings(resend_delay=global_.resend_delay), random.SystemRandom()
    for destination, sink in adapters.sinks.items():
        settings = _settings_of(sink, common)
        workers[destination] = courier_of(destination, sink, store, common, report, settled)
        if isinstance(sink, AlertSink):
            workers[f"{destination} refresh"] = Resender(
                destination, sink, alerts, store, sender, settings, resend, rng, report
            )
    return workers


def courier_of(
    destination: str,
    sink: Sink,
    store: Store,
    common: DeliverySettings,
    report: Callable[[AttemptReport], None],
    settled: Callable[[Sequence[str]], None],
) -> Courier:
    """Return the courier of a destination; see build_workers."""
    worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"  # no two hold the same lease
    settings = _settings_of(sink, common)
    return Courier(destination, sink, store, worker, settings, report, settled, random.SystemRandom())


def _settings_of(sink: Sink, common: DeliverySettings) -> DeliverySettings:
    """Return the settings of one sink; a lease outlives the attempt that it covers."""
    deadline = getattr(sink, "attempt_deadline", common.attempt_deadline)
    lease = max(common.lease, 2 * deadline)
    rate, max_in_flight = getattr(sink, "rate", None), getattr(sink, "max_in_flight", common.max_in_flight)
    return replace(common, attempt_deadline=deadline, lease=lease, rate=rate, max_in_flight=max_in_flight)


def warn_of_unserved(store: Store, destinations: Iterable[str]) -> None:
    """Log the destinations that have pending deliveries but belong to no receiver any more."""
    try:
        depths = store.depths()
    except StoreError:
        return  # reported by the store watch
    configured = set(destinations)
    for destination, depth in depths.items():
        if depth.pending and destination not in configured:
            command = discard_command(destination)
            fields = {"destination": destination, "pending": depth.pending, "to_discard": command}
            log.warning("deliveries wait for a destination that is not configured any more", extra=fields)
