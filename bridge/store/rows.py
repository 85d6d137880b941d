"""Pure conversion between records and database rows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple
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
from bridge.ports import DeliveryRecord, DeliveryState, Kind, Pause, Run, RunState, Sighting, StateChunk

Row = dict[str, Any]
Word = TypeVar("Word", bound=Enum)
Fetched = Mapping[str, Any] | RowMapping
_PARTS = ("project", "pipeline", "version")
_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=4096)
def _listed(texts: tuple[str, ...]) -> str:
    """Return texts as a JSON list; most rows have the same ones."""
    return json.dumps(texts)


@lru_cache(maxsize=4096)
def _texts(listed: str) -> tuple[str, ...]:
    """Return the texts of a JSON list."""
    return tuple(json.loads(listed))


def _json(body: dict[str, Any], numbers: Iterable[float | None]) -> str:
    """Return a body as JSON that json.loads reads, which also knows the numbers that JSON lacks: NaN, infinities.

    numbers: all that are in the body.
    """
    if all(number is None or isfinite(number) for number in numbers):
        with contextlib.suppress(UnicodeEncodeError):  # a lone surrogate
            return _encode(body).decode()
    return json.dumps(body)


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
    return {
        "rule": alert.rule, "fingerprint": alert.fingerprint, **alert.model.labels(), "state": int(alert.state),
        "active_at": alert.active_at, "fired_at": alert.fired_at, "keep_since": alert.keep_since,
        "recent": alert.recent,
    }  # fmt: skip


def alert_of(row: Fetched) -> AlertRow:
    """Return the alert state of a row."""
    return AlertRow(
        row["rule"], row["fingerprint"], model_of(row), member(State, row, "alerts", "state", "rule", *_PARTS),
        row["active_at"], row["fired_at"], row["keep_since"], row["recent"],
    )  # fmt: skip


def episode_row(episode: Episode) -> Row:
    """Return the row of an episode."""
    return {
        **episode.model.labels(), "started_at": episode.started_at, "leader": episode.leader,
        "rules": _listed(episode.rules), "attempts": episode.attempts, "ended_at": episode.ended_at,
        "end_reason": episode.end_reason,
    }  # fmt: skip


def episode_of(row: Fetched) -> Episode:
    """Return the episode of a row."""
    rules = _texts(row["rules"])
    return Episode(
        model_of(row), row["started_at"], row["leader"], rules, row["attempts"], row["ended_at"], row["end_reason"]
    )


def request_row(record: RequestRecord) -> Row:
    """Return the row of a request; `body` is its immutable part, in the store's own JSON (may hold NaN, infinities)."""
    request = record.request
    numbers = [number for item in request.evidence for number in (item.value, item.statistic, item.threshold)]
    body = {
        "reason": request.reason, "reasons": request.reasons, "labels": dict(request.labels),
        "annotations": dict(request.annotations), "late": request.late,
        "evidence": [
            [item.rule, item.signal, item.event, item.query, item.value, item.statistic, item.threshold, item.unit,
             dict(item.series)]
            for item in request.evidence
        ],
    }  # fmt: skip
    return {
        "id": request.id, **request.model.labels(), "rule": request.rule, "episode_start": request.episode_start,
        "attempt": request.attempt, "triggered_at": request.triggered_at, "state": record.state.value,
        "terminal": int(record.state.terminal), "body": _json(body, numbers), "updated_at": record.updated_at,
        "receivers": _listed(record.receivers), "destinations": _listed(record.destinations),
        "hold": record.hold or "", "hold_until": record.hold_until, "sent_at": record.sent_at,
        "delivered_at": record.delivered_at, "ended_at": record.ended_at, "reference": record.reference,
        "link": record.link,
        "message": record.message, "new_version": record.new_version,
        "acts": json.dumps([astuple(act) for act in record.acts]) if record.acts else "[]",
        "verdict": record.verdict or "", "verdict_at": record.verdict_at, "unhelpful": record.unhelpful,
        "shared_cause": "" if record.shared_cause is None else json.dumps(astuple(record.shared_cause)),
        "feedback": record.feedback or "",
    }  # fmt: skip


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
    model = dict.fromkeys(_PARTS) if decision.model is None else decision.model.labels()
    return {
        "slot": decision.slot, "group_name": decision.group, "rule": decision.rule, **model,
        "outcome": decision.outcome.value, "before": decision.before, "after": decision.after,
        "reason": decision.reason, "verdict": decision.verdict, "cause": decision.cause, "value": decision.value,
        "statistic": decision.statistic, "threshold": decision.threshold, "query": decision.query,
        "query_time": decision.query_time, "request_id": decision.request_id, "repeats": decision.repeats,
    }  # fmt: skip


def decision_of(row: Fetched) -> Decision:
    """Return the decision of a row."""
    return Decision(
        row["slot"], row["group_name"], row["rule"], None if row["project"] is None else model_of(row),
        member(Outcome, row, "decisions", "outcome", "seq"), row["before"], row["after"], row["reason"],
        row["verdict"], row["cause"], row["value"], row["statistic"], row["threshold"], row["query"],
        row["query_time"], row["request_id"], row["repeats"], row["seq"],
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
    return {
        "group_name": sighting.group, "signal": sighting.signal, **sighting.model.labels(),
        "first_seen": sighting.first_seen, "missing_since": sighting.missing_since,
    }  # fmt: skip


def sighting_of(row: Fetched) -> Sighting:
    """Return the sighting of a row."""
    return Sighting(row["group_name"], row["signal"], model_of(row), row["first_seen"], row["missing_since"])


def pause_row(pause: Pause) -> Row:
    """Return the row of a pause."""
    return {
        "project": pause.project, "pipeline": pause.pipeline, "until": pause.until, "who": pause.who,
        "at": pause.at, "note": pause.note,
    }  # fmt: skip


def pause_of(row: Fetched) -> Pause:
    """Return the pause of a row."""
    return Pause(row["project"], row["pipeline"], row["until"], row["who"], row["at"], row["note"])


def chunk_row(chunk: StateChunk) -> Row:
    """Return the row of a chunk of strategy state."""
    models = [[model.project, model.pipeline, model.version] for model in chunk.models]
    return {
        "rule": chunk.rule, "fingerprint": chunk.fingerprint, "slot": chunk.slot,
        "models": json.dumps(models), "data": chunk.data,
    }  # fmt: skip


def chunk_of(row: Fetched) -> StateChunk:
    """Return the chunk of strategy state of a row."""
    models = tuple(ModelKey(*parts) for parts in json.loads(row["models"]))
    return StateChunk(row["rule"], row["fingerprint"], row["slot"], models, bytes(row["data"]))


def run_row(run: Run) -> Row:
    """Return the row of a run."""
    return {**asdict(run), "state": run.state.value, "overdue": int(run.overdue)}


def run_of(row: Fetched) -> Run:
    """Return the run of a row."""
    state = member(RunState, row, "runs", "state", "request_id", "destination")
    return Run(**{**row, "state": state, "overdue": bool(row["overdue"])})
