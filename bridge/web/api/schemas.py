"""Type of each response body, as msgspec structs, and the JSON Schemas that are generated from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bridge.net.problem import Body, Problem
from bridge.web.api import request_structs, status_structs, structs

_REQUEST = "/api/v1/requests/{request_id}"
# (method, path) -> type of `data` in the envelope.
DATA: Mapping[tuple[str, str], type[Body]] = {
    ("get", "/api/v1/rules"): structs.Rules,
    ("get", "/api/v1/alerts"): structs.Alerts,
    ("get", "/api/v1/models"): structs.Models,
    ("get", "/api/v1/trail"): structs.Trails,
    ("get", "/api/v1/history"): structs.SignalHistory,
    ("get", "/api/v1/status/buildinfo"): status_structs.BuildInfo,
    ("get", "/api/v1/status/config"): status_structs.Configuration,
    ("get", "/api/v1/status/config/changes"): status_structs.ConfigChanges,
    ("get", "/api/v1/silences"): structs.Silences,
    ("post", "/api/v1/silences"): structs.CreatedSilence,
    ("post", "/api/v1/silences/{silence_id}/expire"): structs.ExpiredSilence,
    ("get", "/api/v1/status/fleet"): status_structs.Fleet,
    ("get", "/api/v1/decisions"): structs.Decisions,
    ("get", "/api/v1/explain"): structs.Explanations,
    ("get", "/api/v1/forecast"): structs.Forecast,
    ("get", "/api/v1/requests"): request_structs.Requests,
    ("get", "/api/v1/deliveries"): request_structs.Deliveries,
    ("post", "/api/v1/deliveries/discard"): request_structs.Discarded,
    ("get", _REQUEST): request_structs.RequestWithDeliveries,
    ("post", "/api/v1/requests"): request_structs.Request,
    ("post", f"{_REQUEST}/redrive"): request_structs.Redriven,
    ("post", f"{_REQUEST}/retry"): request_structs.Retried,
    ("post", f"{_REQUEST}/status"): request_structs.Status,
    ("post", f"{_REQUEST}/approve"): request_structs.Request,
    ("post", f"{_REQUEST}/feedback"): request_structs.Request,
    ("post", f"{_REQUEST}/release"): request_structs.Request,
    ("post", f"{_REQUEST}/withdraw"): request_structs.Request,
    ("post", f"{_REQUEST}/cancel"): request_structs.Request,
    ("post", f"{_REQUEST}/start-again"): request_structs.Request,
    ("get", "/api/v1/pause"): structs.Pauses,
    ("post", "/api/v1/pause"): structs.Pause,
}


def ref(body: type[Body]) -> dict[str, Any]:
    """Return a reference to the schema of a body."""
    return {"$ref": f"#/components/schemas/{body.__name__}"}


def schemas() -> dict[str, Any]:
    """Return the JSON Schemas of all bodies by name."""
    _, components = msgspec.json.schema_components(
        [Problem, *dict.fromkeys(DATA.values())], ref_template="#/components/schemas/{name}"
    )
    return components
