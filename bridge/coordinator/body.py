"""Validation of request bodies; an error lists every wrong field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bridge.coordinator.records import Origin, Submission
from bridge.domain.limits import LARGEST_REQUEST, LONGEST_LINK, LONGEST_PART
from bridge.domain.request import REQUEST_ID
from bridge.domain.times import parse_rfc3339
from bridge.domain.wording import sentence
from bridge.net.problem import ProblemError, path

MAX_BODY = LARGEST_REQUEST + LONGEST_LINK + 1_000  # bytes of one request: a bridge's largest, and its link
MAX_ALERTS_BODY = 100 * LARGEST_REQUEST  # bytes of one Alertmanager notification
_MAX_KEPT = 2 * LARGEST_REQUEST  # bytes as stored, with defaults; an environment variable holds 128 KiB at most


class BodyError(ProblemError):
    """Invalid body. fields: (path, message) of each wrong field, may be empty."""

    def __init__(self, detail: str, fields: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(400, detail, fields)


def _instant(text: str) -> str:
    parse_rfc3339(text)
    return text


def _no_nul(text: str) -> str:
    """Return the text. Raises ValueError for a NUL, which the command's environment cannot hold."""
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PART), AfterValidator(_no_nul)]
Text = Annotated[str, AfterValidator(_no_nul)]
Instant = Annotated[str, AfterValidator(_instant), Field(examples=["2026-03-01T12:00:00.000Z"])]
Number = float | str | None


class EvidenceBody(BaseModel):
    """Evidence of one rule at the time it fired. NaN and infinities are the strings "NaN", "+Inf", "-Inf"."""

    model_config = ConfigDict(extra="allow", strict=True, title="Evidence")

    rule: str = ""
    signal: str = ""
    event: str = ""
    query: str = ""
    value: Number = None
    statistic: Number = None
    threshold: Number = None
    unit: str = ""
    series: dict[str, str] = Field(default_factory=dict)


class RequestBody(BaseModel):
    """Request to retrain one model. Additional fields are stored and passed to the command."""

    model_config = ConfigDict(extra="allow", strict=True, title="RetrainRequest")

    id: Annotated[str, StringConstraints(pattern=f"^{REQUEST_ID.pattern}$")]
    project: Name
    pipeline: Name
    version: Name
    reason: Text
    reasons: list[str] = Field(default_factory=list)
    rule: str = ""
    attempt: int = Field(default=1, ge=1)
    triggered_at: Instant | None = None
    episode_start: Instant | None = None
    late: bool = False
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    evidence: list[EvidenceBody] = Field(default_factory=list)
    generator_url: str = ""


def parse_request(raw: bytes) -> Submission:
    """Parse the body of POST /api/v1/retrain-requests. Raises BodyError, which lists every wrong field."""
    payload = decode(raw)
    try:
        body = RequestBody.model_validate(payload)
    except ValidationError as error:
        raise BodyError("the body is not a retrain request", problems(error)) from None
    return submission(body, Origin.API)


def submission(body: RequestBody, origin: Origin) -> Submission:
    """Return the record for the ledger. Raises BodyError when an additional field cannot be serialized to JSON."""
    try:
        text = json.dumps(body.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (ValueError, RecursionError) as error:
        raise BodyError(f"the body cannot be serialized to JSON: {error}") from None
    if size > _MAX_KEPT:
        raise BodyError(f"the request is larger than {_MAX_KEPT} bytes")
    return Submission(body.id, body.project, body.pipeline, body.version, body.reason, text, origin)


def decode(raw: bytes) -> dict[str, Any]:
    """Decode a JSON object. Raises BodyError."""
    try:
        payload = json.loads(raw, parse_constant=_not_json, parse_float=_finite)
    except RecursionError:
        raise BodyError("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise BodyError("the body is not UTF-8") from None
    except ValueError as error:
        raise BodyError(f"the body is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise BodyError("the body must be a JSON object")
    return payload


def _finite(text: str) -> float:
    """Parse a number. Raises ValueError for 1e999 and the like, read as infinity, which JSON cannot represent."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def problems(error: ValidationError) -> list[tuple[str, str]]:
    """Return (path, message) of every error, in the order of the fields."""
    return [(path(item["loc"]), sentence(item, str(item["loc"][-1]))) for item in error.errors()]
