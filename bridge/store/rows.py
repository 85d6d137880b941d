"""Pure conversion between records and database rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any, TypeVar

import msgspec
from sqlalchemy import RowMapping

from bridge.domain.alert import AlertRow, State
from bridge.domain.errors import StoreError
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Decision,
    Episode,
    Evidence,
    Feedback,
    HoldReason,
    OperatorAction,
    Outcome,
    RecoveryVerdict,
    RequestRecord,
    RequestState,
    RetrainRequest,
)
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import Timestamp
from bridge.ports import DeliveryRecord, DeliveryState, Kind, NewDelivery, Pause, Run, RunState, Sighting, StateChunk

Row = tuple[Any, ...]  # values of `columns(table)`
Word = TypeVar("Word", bound=Enum)
Fetched = Mapping[str, Any] | RowMapping
_PARTS = ("project", "pipeline", "version")
_encode = msgspec.json.Encoder(enc_hook=dict).encode  # for mappings that are no dictionaries
_fields = msgspec.structs.astuple
_QUEUED = str(DeliveryState.QUEUED)


@lru_cache(maxsize=4096)
def _listed(texts: tuple[str, ...]) -> str:
    """Return texts as a JSON list; most rows have the same ones."""
    return json.dumps(texts)


@lru_cache(maxsize=4096)
def _texts(listed: str) -> tuple[str, ...]:
    """Return the texts of a JSON list."""
    return tuple(json.loads(listed))


def _body(request: RetrainRequest) -> str:
    """Return the immutable part as JSON that json.loads reads, which also knows what JSON lacks: NaN, infinities."""
    body = {
        "reason": request.reason, "reasons": request.reasons, "labels": request.labels,
        "annotations": request.annotations, "late": request.late, "evidence": list(map(_fields, request.evidence)),
    }  # fmt: skip
    if _is_finite(request.evidence):
        try:
            return _encode(body).decode()
        except UnicodeEncodeError:  # a lone surrogate
            pass
    return json.dumps(body, default=dict)


def _is_finite(evidence: Iterable[Evidence]) -> bool:
    """Return whether no number of the evidence is NaN or infinite."""
    for item in evidence:
        for number in (item.value, item.statistic, item.threshold):
            if number is not None and not isfinite(number):
                return False
    return True


def _of_model(model: ModelKey) -> tuple[str, str, str]:
    return model.project, model.pipeline, model.version


def member(kind: type[Word], row: Fetched, table: str, column: str, *key: str) -> Word:
    """Return the value of a column as a member of an enumeration. Raises StoreError for one that is no member.

    key: columns that name the row in the message.
    """
    try:
        return kind(row[column])
    except ValueError:
        named = ", ".join(f"{name}={row[name]!r}" for name in key)
        raise StoreError(
            f"column {column} of table {table} has the value {row[column]!r} in the row with {named}, which this "
            "version does not know; run the newer version of retrain-bridge that wrote it, or restore a backup"
        ) from None


def model_of(row: Fetched) -> ModelKey:
    """Return the model that a row belongs to."""
    return ModelKey(row["project"], row["pipeline"], row["version"])


def alert_row(alert: AlertRow) -> Row:
    """Return the row of an alert's state."""
    return (
        alert.rule, alert.fingerprint, *_of_model(alert.model), int(alert.state), alert.active_at, alert.fired_at,
        alert.keep_since, alert.recent,
    )  # fmt: skip


def alert_of(row: Fetched) -> AlertRow:
    """Return the alert state of a row."""
    return AlertRow(
        row["rule"], row["fingerprint"], model_of(row), member(State, row, "alerts", "state", "rule", *_PARTS),
        row["active_at"], row["fired_at"], row["keep_since"], row["recent"],
    )  # fmt: skip


def episode_row(episode: Episode) -> Row:
    """Return the row of an episode."""
    return (
        *_of_model(episode.model), episode.started_at, episode.leader, _listed(episode.rules), episode.attempts,
        episode.ended_at, episode.end_reason,
    )  # fmt: skip


def episode_of(row: Fetched) -> Episode:
    """Return the episode of a row."""
    rules = _texts(row["rules"])
    return Episode(
        model_of(row), row["started_at"], row["leader"], rules, row["attempts"], row["ended_at"], row["end_reason"]
    )


def request_row(record: RequestRecord) -> Row:
    """Return the row of a request."""
    request, state = record.request, record.state
    model = request.model
    return (
        request.id, model.project, model.pipeline, model.version, request.rule, request.episode_start, request.attempt,
        request.triggered_at, str(state), int(state.terminal), _body(request), record.updated_at,
        _listed(record.receivers), _listed(record.destinations), record.hold or "", record.hold_until, record.sent_at,
        record.delivered_at, record.ended_at, record.reference, record.link, record.message, record.new_version,
        json.dumps([astuple(act) for act in record.acts]) if record.acts else "[]",
        record.verdict or "", record.verdict_at, record.unhelpful,
        "" if record.shared_cause is None else json.dumps(astuple(record.shared_cause)),
        record.feedback or "",
    )  # fmt: skip


def request_of(row: Fetched) -> RequestRecord:
    """Return the request of a row."""
    body = json.loads(row["body"])
    request = RetrainRequest(
        model=model_of(row), reason=body["reason"], triggered_at=row["triggered_at"], id=row["id"], rule=row["rule"],
        episode_start=row["episode_start"], attempt=row["attempt"], reasons=tuple(body["reasons"]),
        evidence=tuple(Evidence(*item) for item in body["evidence"]), labels=body["labels"],
        annotations=body["annotations"], late=body["late"],
    )  # fmt: skip
    return RequestRecord(
        request=request, state=_of_request(RequestState, row, "state"), updated_at=row["updated_at"],
        receivers=_texts(row["receivers"]), destinations=_texts(row["destinations"]),
        hold=_of_request(HoldReason, row, "hold") if row["hold"] else None, hold_until=row["hold_until"],
        sent_at=row["sent_at"], delivered_at=row["delivered_at"], ended_at=row["ended_at"],
        reference=row["reference"], link=row["link"], message=row["message"], new_version=row["new_version"],
        acts=tuple(OperatorAction(*item) for item in json.loads(row["acts"])) if row["acts"] != "[]" else (),
        verdict=_of_request(RecoveryVerdict, row, "verdict") if row["verdict"] else None,
        verdict_at=row["verdict_at"], unhelpful=row["unhelpful"], shared_cause=shared_cause_of(row["shared_cause"]),
        feedback=_of_request(Feedback, row, "feedback") if row["feedback"] else None,
    )  # fmt: skip


def _of_request(kind: type[Word], row: Fetched, column: str) -> Word:
    return member(kind, row, "requests", column, "id")


def shared_cause_of(text: str) -> SharedCause | None:
    """Return the shared cause of a column, None for an empty one."""
    if not text:
        return None
    label, value, breached, total, others_breached, others, since, models = json.loads(text)
    return SharedCause(label, value, breached, total, others_breached, others, since, tuple(models))


def decision_row(decision: Decision) -> Row:
    """Return the row of a decision."""
    model = (None, None, None) if decision.model is None else _of_model(decision.model)
    return (
        decision.slot, decision.group, decision.rule, *model, str(decision.outcome), decision.before, decision.after,
        decision.reason, decision.verdict, decision.cause, decision.value, decision.statistic, decision.threshold,
        decision.query, decision.query_time, decision.request_id, decision.repeats,
    )  # fmt: skip


def decision_of(row: Fetched) -> Decision:
    """Return the decision of a row."""
    return Decision(
        row["slot"], row["group_name"], row["rule"], None if row["project"] is None else model_of(row),
        member(Outcome, row, "decisions", "outcome", "seq"), row["before"], row["after"], row["reason"],
        row["verdict"], row["cause"], row["value"], row["statistic"], row["threshold"], row["query"],
        row["query_time"], row["request_id"], row["repeats"], row["seq"],
    )  # fmt: skip


def new_delivery_row(delivery: NewDelivery, at: Timestamp) -> Row:
    """Return the row of a delivery that is queued at an instant."""
    due = delivery.due
    return (
        delivery.request_id, delivery.destination, str(delivery.kind), delivery.bundle if at < due else "", _QUEUED, 0,
        at, max(at, due), at, "", "", 0, "",
    )  # fmt: skip


def delivery_of(row: Fetched) -> DeliveryRecord:
    """Return the delivery of a row."""
    return DeliveryRecord(
        row["id"], row["request_id"], row["destination"], member(Kind, row, "deliveries", "kind", "id"),
        member(DeliveryState, row, "deliveries", "state", "id"), row["attempts"], row["queued_at"], row["next_at"],
        row["updated_at"], row["reason"], row["status"], row["answer"],
    )  # fmt: skip


def sighting_row(sighting: Sighting) -> Row:
    """Return the row of an expected model's sighting."""
    return (
        sighting.group, sighting.signal, *_of_model(sighting.model), sighting.first_seen, sighting.missing_since,
    )  # fmt: skip


def sighting_of(row: Fetched) -> Sighting:
    """Return the sighting of a row."""
    return Sighting(row["group_name"], row["signal"], model_of(row), row["first_seen"], row["missing_since"])


def pause_row(pause: Pause) -> Row:
    """Return the row of a pause."""
    return astuple(pause)


def pause_of(row: Fetched) -> Pause:
    """Return the pause of a row."""
    return Pause(row["project"], row["pipeline"], row["until"], row["who"], row["at"], row["note"])


def chunk_row(chunk: StateChunk) -> Row:
    """Return the row of a chunk of strategy state."""
    models = [[model.project, model.pipeline, model.version] for model in chunk.models]
    return chunk.rule, chunk.fingerprint, chunk.slot, json.dumps(models), chunk.data


def chunk_of(row: Fetched) -> StateChunk:
    """Return the chunk of strategy state of a row."""
    models = tuple(ModelKey(*parts) for parts in json.loads(row["models"]))
    return StateChunk(row["rule"], row["fingerprint"], row["slot"], models, bytes(row["data"]))


def run_row(run: Run) -> Row:
    """Return the row of a run."""
    return (
        run.request_id, run.destination, run.name, run.plan, run.state.value, run.reference, run.link, run.message,
        run.new_version, run.created_at, run.sent_at, run.seen_at, run.started_at, run.updated_at, run.ended_at,
        run.next_poll, run.cancel_at, run.cancelled_at, run.again_at, run.lookups, run.absent, int(run.overdue),
    )  # fmt: skip


def run_of(row: Fetched) -> Run:
    """Return the run of a row."""
    state = member(RunState, row, "runs", "state", "request_id", "destination")
    return Run(**{**row, "state": state, "overdue": bool(row["overdue"])})
