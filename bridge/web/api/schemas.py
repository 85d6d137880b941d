"""JSON Schemas of all responses: one for each object that encode.py returns."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from bridge.domain.batch import EventKind
from bridge.domain.request import HoldReason, Outcome, RecoveryVerdict, RequestState
from bridge.engine.api.views import ModelState
from bridge.ports import DeliveryState, Kind

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
SECONDS: Schema = {"type": "number", "minimum": 0}
NUMBER: Schema = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "+Inf", "-Inf"]}]}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}


def ref(name: str) -> Schema:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def several(item: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": item}


def maybe(schema: Schema) -> Schema:
    """Return a schema that also allows null."""
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(values: type[StrEnum]) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": [item.value for item in values]}


def members(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """Return the schema of an object with exactly these members; all are required except the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


_MODEL = {"project": TEXT, "pipeline": TEXT, "version": TEXT}
_RULE_STATE: Schema = {"type": "string", "enum": ["inactive", "pending", "firing"]}
_REQUEST: dict[str, Schema] = {
    "id": TEXT, **_MODEL, "reason": TEXT, "reasons": several(TEXT), "rule": TEXT, "attempt": COUNT,
    "triggered_at": TIME, "episode_start": TIME, "late": FLAG, "labels": LABELS, "annotations": LABELS,
    "evidence": several(ref("Evidence")), "state": one_of(RequestState), "hold": maybe(one_of(HoldReason)),
    "receivers": several(TEXT), "destinations": several(TEXT), "hold_until": maybe(TIME), "sent_at": maybe(TIME),
    "delivered_at": maybe(TIME), "ended_at": maybe(TIME), "updated_at": maybe(TIME), "reference": TEXT,
    "message": TEXT, "new_version": TEXT, "acts": several(ref("Act")), "verdict": maybe(one_of(RecoveryVerdict)),
    "verdict_at": maybe(TIME), "unhelpful": COUNT,
}  # fmt: skip
SCHEMAS: Mapping[str, Schema] = {
    "Problem": members(
        type=TEXT, title=TEXT, status={"type": "integer"}, detail=TEXT, errorType=TEXT,
        errors=several(members(field=TEXT, message=TEXT)),
    ),
    "Alert": members(
        ("keepFiringSince",), activeAt=TIME, annotations=LABELS, labels=LABELS, state=_RULE_STATE, value=TEXT,
        keepFiringSince=TIME,
    ),
    "Rule": members(
        ("lastError",), type={"const": "alerting"}, name=TEXT, query=TEXT, duration=SECONDS, keepFiringFor=SECONDS,
        labels=LABELS, annotations=LABELS, alerts=several(ref("Alert")), lastError=TEXT,
        health={"type": "string", "enum": ["ok", "err", "unknown"]}, evaluationTime=SECONDS, lastEvaluation=TIME,
        state=_RULE_STATE, retrainings=members(**dict.fromkeys((item.value for item in RecoveryVerdict), COUNT)),
    ),
    "RuleGroup": members(
        name=TEXT, file=TEXT, interval=SECONDS, limit=COUNT, rules=several(ref("Rule")), evaluationTime=SECONDS,
        lastEvaluation=TIME,
    ),
    "Signal": members(
        rule=TEXT, signal=TEXT, event=one_of(EventKind), unit=TEXT, value=NUMBER, threshold=NUMBER, verdict=TEXT,
        cause=TEXT, state=_RULE_STATE, at=maybe(TIME),
    ),
    "Model": members(
        **_MODEL, state=one_of(ModelState), last_request_at=maybe(TIME), last_request_id=maybe(TEXT),
        signals=several(ref("Signal")),
    ),
    "Decision": members(
        id=COUNT, slot=TIME, group=TEXT, rule=TEXT, project=maybe(TEXT), pipeline=maybe(TEXT), version=maybe(TEXT),
        outcome=one_of(Outcome), before=TEXT, after=TEXT, reason=TEXT, verdict=TEXT, cause=TEXT, value=maybe(NUMBER),
        statistic=maybe(NUMBER), threshold=maybe(NUMBER), query=TEXT, query_time=maybe(TIME), request_id=maybe(TEXT),
        repeats=COUNT,
    ),
    "Evidence": members(
        rule=TEXT, signal=TEXT, event=TEXT, query=TEXT, value=maybe(NUMBER), statistic=maybe(NUMBER),
        threshold=maybe(NUMBER), unit=TEXT, series=LABELS,
    ),
    "Act": members(what=TEXT, who=TEXT, at=TIME, note=TEXT),
    "Delivery": members(
        id=COUNT, request_id=TEXT, destination=TEXT, kind=one_of(Kind), state=one_of(DeliveryState), attempts=COUNT,
        queued_at=TIME, next_at=maybe(TIME), updated_at=TIME, reason=TEXT, status=COUNT, answer=TEXT,
    ),
    "Request": members(**_REQUEST),
    "RequestWithDeliveries": members(**_REQUEST, deliveries=several(ref("Delivery"))),
    "Explanation": members(
        **_MODEL, rule=TEXT, slot=maybe(TIME), answer=TEXT, recomputed=FLAG, repeat=several(TEXT), helped=TEXT,
        checks=several(members(name=TEXT, passed=maybe(FLAG), text=TEXT)),
    ),
    "Trail": members(
        rule=TEXT, signal=TEXT, unit=TEXT, slots=several(TIME), value=several(maybe(NUMBER)),
        statistic=several(maybe(NUMBER)), threshold=several(maybe(NUMBER)), lower=several(maybe(NUMBER)),
        upper=several(maybe(NUMBER)), state=several(_RULE_STATE),
    ),
    "Pause": members(project=TEXT, pipeline=TEXT, until=TIME, who=TEXT, at=TIME, note=TEXT, scope=TEXT),
}  # fmt: skip
_ID_AND_STATE = members(id=TEXT, state=one_of(RequestState))
# (method, path) -> schema of `data` in the envelope.
DATA: Mapping[tuple[str, str], Schema] = {
    ("get", "/api/v1/rules"): members(
        ("groupNextToken",), groups=several(ref("RuleGroup")), groupNextToken=TEXT
    ),
    ("get", "/api/v1/alerts"): members(alerts=several(ref("Alert"))),
    ("get", "/api/v1/models"): members(total=COUNT, models=several(ref("Model"))),
    ("get", "/api/v1/trail"): members(trails=several(ref("Trail"))),
    ("get", "/api/v1/status/buildinfo"): members(version=TEXT, pythonVersion=TEXT),
    ("get", "/api/v1/status/config"): members(yaml=TEXT),
    ("get", "/api/v1/decisions"): members(decisions=several(ref("Decision")), next=maybe(COUNT)),
    ("get", "/api/v1/explain"): members(explanations=several(ref("Explanation"))),
    ("get", "/api/v1/requests"): members(requests=several(ref("Request")), next=maybe(TEXT)),
    ("get", "/api/v1/requests/{request_id}"): ref("RequestWithDeliveries"),
    ("post", "/api/v1/requests"): ref("Request"),
    ("post", "/api/v1/requests/{request_id}/redrive"): members(redriven=COUNT),
    ("post", "/api/v1/requests/{request_id}/retry"): members(retried=COUNT),
    ("post", "/api/v1/requests/{request_id}/status"): _ID_AND_STATE,
    ("post", "/api/v1/requests/{request_id}/approve"): ref("Request"),
    ("post", "/api/v1/requests/{request_id}/release"): ref("Request"),
    ("post", "/api/v1/requests/{request_id}/withdraw"): ref("Request"),
    ("get", "/api/v1/pause"): members(pauses=several(ref("Pause"))),
    ("post", "/api/v1/pause"): ref("Pause"),
}  # fmt: skip
