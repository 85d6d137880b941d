"""Types of the members of response bodies."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from bridge.domain.batch import EventKind

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Number = float | Literal["NaN", "+Inf", "-Inf"]
AlertState = Annotated[str, Meta(extra_json_schema={"enum": ["inactive", "pending", "firing"]})]
Health = Annotated[str, Meta(extra_json_schema={"enum": ["ok", "err", "unknown"]})]
Event = Annotated[str, Meta(extra_json_schema={"enum": [kind.value for kind in EventKind]})]
Labels = dict[str, str]
