"""Types of the members of response bodies."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from msgspec import Meta
from pydantic import JsonValue

from bridge.domain.batch import EventKind

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Number = float | Literal["NaN", "+Inf", "-Inf"]
AlertState = Annotated[str, Meta(extra_json_schema={"enum": ["inactive", "pending", "firing"]})]
Health = Annotated[str, Meta(extra_json_schema={"enum": ["ok", "err", "unknown"]})]
Event = Annotated[str, Meta(extra_json_schema={"enum": [kind.value for kind in EventKind]})]
Labels = dict[str, str]
_OR_NONE: dict[str, JsonValue] = {"anyOf": [{"format": "date-time"}, {"maxLength": 0}]}
Instant = Annotated[str, Query(description="RFC 3339", json_schema_extra=_OR_NONE)]
