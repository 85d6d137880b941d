"""Narrow Protocols that connect the engine to the outside, and the frozen records that cross them.

All instants are ints of milliseconds since the epoch (domain/times.py). Implementations: sources/, sinks/, store/.
"""

from __future__ import annotations

from bridge.ports.outbox import (
    DISCARDED,
    Breaker,
    Claim,
    DeliveryRecord,
    DeliveryState,
    NewDelivery,
    Outbox,
    QueueDepth,
    Settlement,
)
from bridge.ports.reports import AttemptReport, QueryReport, TickReport
from bridge.ports.runs import Previewable, Run, RunFollower, RunLedger, RunState, Testable
from bridge.ports.sinks import (
    Alert,
    AlertSink,
    Delivery,
    GroupedSink,
    Kind,
    Notification,
    RateLimit,
    Result,
    Sink,
    StatusReport,
    StatusSource,
)
from bridge.ports.sources import MetricSource, Sample, Silences, SilenceSnapshot
from bridge.ports.stores import (
    RETIRED,
    DecisionFilter,
    Discard,
    History,
    Pause,
    RequestFilter,
    RunAction,
    Sighting,
    Snapshot,
    StateChunk,
    Store,
    TickChanges,
    TickStore,
)

__all__ = [
    "DISCARDED",
    "RETIRED",
    "Alert",
    "AlertSink",
    "AttemptReport",
    "Breaker",
    "Claim",
    "DecisionFilter",
    "Delivery",
    "DeliveryRecord",
    "DeliveryState",
    "Discard",
    "GroupedSink",
    "History",
    "Kind",
    "MetricSource",
    "NewDelivery",
    "Notification",
    "Outbox",
    "Pause",
    "Previewable",
    "QueryReport",
    "QueueDepth",
    "RateLimit",
    "RequestFilter",
    "Result",
    "Run",
    "RunAction",
    "RunFollower",
    "RunLedger",
    "RunState",
    "Sample",
    "Settlement",
    "Sighting",
    "SilenceSnapshot",
    "Silences",
    "Sink",
    "Snapshot",
    "StateChunk",
    "StatusReport",
    "StatusSource",
    "Store",
    "Testable",
    "TickChanges",
    "TickReport",
    "TickStore",
]
