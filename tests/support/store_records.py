"""Records for the stores' tests: requests of three models, and how they are queued."""

from __future__ import annotations

import math
from typing import Any

from msgspec import structs

from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Decision,
    Evidence,
    Outcome,
    RequestRecord,
    RequestState,
    RetrainRequest,
    request_id,
)
from bridge.ports import (
    Kind,
    NewDelivery,
    Store,
    TickChanges,
)

A = ModelKey("shop", "ranking", "7")
B = ModelKey("shop", "ranking", "8")
C = ModelKey("shop", "search", "1")
HOOK = "team/webhook/0"
LEASE = 1000


def record_of(model: ModelKey = A, *, start: int = 100, attempt: int = 1, **more: Any) -> RequestRecord:
    evidence = Evidence("R", "s", "drift", "up", 0.7, math.inf, -math.inf, "score", {"instance": "a"})
    request = RetrainRequest(
        model, "why", start, request_id(model, "R", start, attempt), "R", start, attempt, ("why", "and"), (evidence,),
        {"severity": "page"}, {"summary": "ümläut\n\"quote\""}, late=True,
    )  # fmt: skip
    made = RequestRecord(request, RequestState.REQUESTED, start, ("team",), (HOOK,), sent_at=start)
    return structs.replace(made, **more)


def queued(store: Store, *records: RequestRecord, kinds: tuple[Kind, ...] = (Kind.FIRING,), at: int = 100) -> None:
    """Commit requests with a delivery to HOOK of each kind."""
    deliveries = [NewDelivery(item.id, HOOK, kind) for item in records for kind in kinds]
    store.commit(TickChanges("g", at, requests=records, deliveries=deliveries, at=at))


def decision(slot: int, model: ModelKey | None = A, rule: str = "R", **more: Any) -> Decision:
    base = Decision(
        slot, "g", rule, model, Outcome.HELD, "pending", "firing", "because", "breached", "none", 0.7, None, 0.6,
        "up", slot, "id", 2,
    )  # fmt: skip
    return structs.replace(base, **more)
