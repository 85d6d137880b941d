"""Ground truth for tuning: incidents as CSV, exported annotations, and feedback on requests."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.authoring.backtest.time_argument import parse_time
from bridge.authoring.tune.grid import TuneError
from bridge.domain.model import ModelKey
from bridge.domain.request import Feedback
from bridge.domain.times import HOUR, Duration, Timestamp, parse_rfc3339
from bridge.net.files import MIB, read_text

_PARTS = ("project", "pipeline", "version")
_LONGEST = 256 * MIB
USEFUL_BEFORE: Duration = HOUR  # how long before its breach a model needed the retraining of a useful request


@dataclass(frozen=True, slots=True)
class Window:
    """Time in which a model needed a retraining, or in which none was needed. Instants in ms, both ends included.

    project, pipeline, version: "" = any.
    needed: False for a time in which a request is known to be false.
    """

    start: Timestamp
    end: Timestamp
    project: str = ""
    pipeline: str = ""
    version: str = ""
    needed: bool = True

    def covers(self, model: ModelKey, at: Timestamp) -> bool:
        """Return whether the window is about a model and an instant."""
        return self.start <= at <= self.end and self.about(model)

    def about(self, model: ModelKey) -> bool:
        """Return whether the window is about a model."""
        own = (self.project, self.pipeline, self.version)
        return all(part in {"", value} for part, value in zip(own, model.labels().values(), strict=True))


def read_csv(path: Path, now: Timestamp) -> list[Window]:
    """Read incidents: a header with `start` and `end`, and as needed project, pipeline, version. Raises TuneError."""
    reader = csv.DictReader(io.StringIO(_text(path)))
    try:
        columns, rows = set(reader.fieldnames or ()), [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise TuneError(f"{path}:{reader.line_num + 1}: {error}") from None
    if not {"start", "end"} <= columns:
        raise TuneError(f"{path}:1: the header needs start and end, and may have {', '.join(_PARTS)}")
    found = []
    for line, row in rows:
        where = f"{path}:{line}"
        try:
            start, end = (parse_time((row[name] or "").strip(), now) for name in ("start", "end"))
        except ValueError as error:
            raise TuneError(f"{where}: {error}") from None
        found.append(_window(where, start, end, {part: (row.get(part) or "").strip() for part in _PARTS}))
    return found


def read_annotations(path: Path) -> list[Window]:
    """Read annotations as Grafana's HTTP API exports them; tags such as `pipeline=ranking` name the model.

    Raises TuneError.
    """
    try:
        items = json.loads(_text(path))
        found = []
        for number, item in enumerate(items):
            tags = dict(tag.replace(":", "=", 1).split("=", 1) for tag in item.get("tags") or [] if _names_part(tag))
            start = int(item["time"])
            found.append(_window(f"{path}: annotation {number}", start, int(item.get("timeEnd") or start), tags))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise TuneError(f"{path} does not hold annotations of Grafana's API: {error}") from None
    return found


def of_feedback(requests: Iterable[Mapping[str, Any]], rule: str) -> list[Window]:
    """Return a window for each request of the API with feedback, whose rule is `rule`.

    Useful: from an hour before the episode to the end of the retraining. Late: the hour before the episode. False: from
    an hour before the episode to the request.
    """
    found = []
    for item in requests:
        if not item.get("feedback") or item.get("rule") != rule:
            continue
        opinion = Feedback(item["feedback"])
        begin, asked = parse_rfc3339(item["episode_start"]), parse_rfc3339(item["triggered_at"])
        ended = parse_rfc3339(item["ended_at"]) if item.get("ended_at") else asked
        end = {Feedback.USEFUL: max(ended, asked), Feedback.LATE: begin, Feedback.FALSE: asked}[opinion]
        project, pipeline, version = (str(item[part]) for part in _PARTS)
        needed = opinion is not Feedback.FALSE
        found.append(Window(begin - USEFUL_BEFORE, end, project, pipeline, version, needed))
    return found


def _names_part(tag: object) -> bool:
    name = str(tag).replace(":", "=", 1).partition("=")[0]
    return name in _PARTS and ("=" in str(tag) or ":" in str(tag))


def _window(where: str, start: Timestamp, end: Timestamp, parts: Mapping[str, str]) -> Window:
    if end < start:
        raise TuneError(f"{where}: the end is before the start")
    project, pipeline, version = (parts.get(part, "") for part in _PARTS)
    return Window(start, end, project, pipeline, version)


def _text(path: Path) -> str:
    try:
        return read_text(path, "utf-8-sig", most=_LONGEST)
    except (OSError, ValueError) as error:
        raise TuneError(f"cannot read {path}: {error}") from None
