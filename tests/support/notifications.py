"""One request that many tests send, and the parcels around it."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridge.domain.model import ModelKey
from bridge.domain.request import Evidence, RetrainRequest, request_id
from bridge.ports import Kind, Notification

T0 = 1_700_000_000_000  # 2023-11-14T22:13:20Z
MODEL = ModelKey("shop", "ranking", "7")
REQUEST = RetrainRequest(
    model=MODEL,
    reason="drift 0.702 is above 0.6",
    triggered_at=T0,
    id=request_id(MODEL, "DriftHigh", T0, 1),
    rule="DriftHigh",
    episode_start=T0,
    reasons=("drift 0.702 is above 0.6",),
    evidence=(Evidence("DriftHigh", "drift", "drift", "model_drift_score", 0.702, 0.702, 0.6),),
    labels={"severity": "page"},
    annotations={"runbook": "https://wiki.example/drift"},
)


def request(**changes: Any) -> RetrainRequest:
    """The request with some fields changed."""
    return structs.replace(REQUEST, **changes)


def numbered(number: int) -> RetrainRequest:
    """One of many different requests."""
    model = ModelKey("shop", f"pipeline-{number}", "7")
    return structs.replace(REQUEST, model=model, id=request_id(model, "DriftHigh", T0, 1))


def firing(wanted: RetrainRequest = REQUEST) -> Notification:
    """The request, while its episode is open."""
    return Notification(wanted, Kind.FIRING, wanted.episode_start, wanted.triggered_at)


def resolved(wanted: RetrainRequest = REQUEST, ends_at: int = T0 + 600_000) -> Notification:
    """The request, when its episode is over."""
    return Notification(wanted, Kind.RESOLVED, wanted.episode_start, wanted.triggered_at, ends_at)
