"""Scores of decisions against ground truth, the windows of `--labels`: detections, false alarms and delays.

A decision belongs to the last row at or before it; several decisions on one row count once. The first 15 % of the
rows (at most 750) are probation and do not count; neither do `ignore` intervals. A decision inside a window detects
it; the delay is the share of the window that had passed. Every other decision is a false alarm. Checked against the
reference implementation of the data's publisher on 82 series.
"""

from __future__ import annotations

import json
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.authoring.backtest.results import Results
from bridge.domain.errors import BridgeError
from bridge.domain.model import ModelKey
from bridge.domain.times import DAY, Timestamp
from bridge.domain.wording import sentence
from bridge.net.files import MIB, read_text
from bridge.net.problem import path as location

_PROBATION, _MOST = 0.15, 750
SCORE_COLUMNS = {
    "name": "scored against ground truth", "windows": "windows", "detected": "detected", "false_alarms": "false alarms",
    "false_alarms_per_model_week": "per model-week", "median_delay": "median delay",
}  # fmt: skip
_WEEK = 7 * DAY / 1000


class LabelsError(BridgeError):
    """Error in a file of ground truth."""


class _Labelled(BaseModel):
    """Ground truth of one model; times in seconds.

    rows: [start, step, count], ...
    windows, ignore: [from, to], ...
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    project: str
    pipeline: str
    version: str
    windows: tuple[tuple[float, float], ...]
    ignore: tuple[tuple[float, float], ...] = ()
    rows: tuple[tuple[float, float, Annotated[int, Field(ge=0, le=10_000_000)]], ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    models: tuple[_Labelled, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """Ground truth of one model.

    times: of the rows, in seconds.
    windows, ignored: as row numbers, both ends included.
    spans, excused: windows and ignored intervals as times in seconds.
    """

    model: ModelKey
    times: Sequence[float]
    windows: tuple[tuple[int, int], ...]
    ignored: tuple[tuple[int, int], ...]
    spans: tuple[tuple[float, float], ...]
    excused: tuple[tuple[float, float], ...]

    @property
    def probation(self) -> int:
        """Number of the first row that counts."""
        return min(int(_PROBATION * len(self.times)), _MOST)


@dataclass(frozen=True, slots=True)
class Score:
    """Score of any number of models.

    delays: one per detected window, 0 to 1.
    weeks: scored model-weeks.
    """

    windows: int
    detected: int
    false_alarms: int
    delays: tuple[float, ...]
    weeks: float

    @property
    def false_alarms_per_week(self) -> float | None:
        """False alarms per model-week; None for less than one model-week, which is not extrapolated."""
        return self.false_alarms / self.weeks if self.weeks >= 1 else None

    @property
    def median_delay(self) -> float | None:
        """Median delay of the detections, None without one."""
        return statistics.median(self.delays) if self.delays else None

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON types."""
        return {
            "windows": self.windows, "detected": self.detected, "false_alarms": self.false_alarms,
            "false_alarms_per_model_week": self.false_alarms_per_week, "median_delay": self.median_delay,
        }  # fmt: skip

    def shown(self) -> dict[str, str]:
        """Return the score formatted for display."""
        rate, delay = self.false_alarms_per_week, self.median_delay
        return {
            "windows": str(self.windows), "detected": str(self.detected), "false_alarms": str(self.false_alarms),
            "false_alarms_per_model_week": "-" if rate is None else f"{rate:.2f}",
            "median_delay": "-" if delay is None else f"{delay:.3f}",
        }  # fmt: skip


def read_labels(path: Path) -> list[Labels]:
    """Read a file of ground truth. Raises LabelsError."""
    try:
        file = _File.model_validate(json.loads(read_text(path, most=256 * MIB)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = location(first["loc"])
        problem = f"{place or 'it'} {sentence(first, place)}"
        raise LabelsError(f"{path} is not a valid file of --labels: {problem}") from None
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"{path} is not a valid file of --labels: it is not JSON: {error}") from None
    except OSError as error:
        raise LabelsError(f"cannot read the file of --labels: {error}") from None
    return [_labels(item) for item in file.models]


def _labels(item: _Labelled) -> Labels:
    times = [start + step * number for start, step, count in item.rows for number in range(count)]
    windows, ignored = (_rows(times, spans) for spans in (item.windows, item.ignore))
    return Labels(
        ModelKey(item.project, item.pipeline, item.version), times, windows, ignored, item.windows, item.ignore
    )


def _rows(times: Sequence[float], spans: Iterable[tuple[float, float]]) -> tuple[tuple[int, int], ...]:
    rows = ((bisect_left(times, start), bisect_right(times, end) - 1) for start, end in spans)
    return tuple((first, last) for first, last in rows if last >= first)


def score(labels: Sequence[Labels], decisions: Mapping[ModelKey, Iterable[Timestamp]]) -> Score:
    """Score all models together; decisions in ms."""
    parts = [_score_one(item, decisions.get(item.model, ())) for item in labels]
    return Score(
        sum(part.windows for part in parts),
        sum(part.detected for part in parts),
        sum(part.false_alarms for part in parts),
        tuple(delay for part in parts for delay in part.delays),
        sum(part.weeks for part in parts),
    )


def _score_one(item: Labels, decisions: Iterable[Timestamp]) -> Score:
    rows = {bisect_right(item.times, at / 1000) - 1 for at in decisions}
    hits = sorted(row for row in rows if row >= item.probation)
    live = [(first, last) for first, last in item.windows if last >= item.probation]
    delays = []
    for first, last in live:
        inside = [row for row in hits if first <= row <= last]
        if inside:
            delays.append((inside[0] - first) / max(1.0, last - first))
    excused = (*item.windows, *item.ignored)
    false = sum(1 for row in hits if not any(first <= row <= last for first, last in excused))
    return Score(len(live), len(delays), false, tuple(delays), _weeks(item))


def _weeks(item: Labels) -> float:
    """Return the scored weeks: from the end of probation to the last row, less windows and ignored intervals."""
    if len(item.times) <= item.probation:
        return 0.0
    begin, end = item.times[item.probation], item.times[-1]
    inside = sum(max(0.0, min(last, end) - max(first, begin)) for first, last in (*item.spans, *item.excused))
    return max(0.0, end - begin - inside) / _WEEK


def baselines(labels: Sequence[Labels]) -> dict[str, dict[ModelKey, list[Timestamp]]]:
    """Return the decisions of trivial policies: never, at every row, once a day."""
    always: dict[ModelKey, list[Timestamp]] = {}
    daily: dict[ModelKey, list[Timestamp]] = {}
    for item in labels:
        always[item.model] = [round(at * 1000) for at in item.times]
        start = item.times[0] if item.times else 0.0
        end = item.times[-1] if item.times else 0.0
        count = int((end - start) // 86_400) + 1
        daily[item.model] = [round((start + 86_400 * number) * 1000) for number in range(1, count)]
    return {"never": {}, "always": always, "every 24 h": daily}


def scores(labels: Sequence[Labels], results: Results) -> dict[str, Score]:
    """Return scores by name: each rule by the requests that it leads, all rules together, and the baselines."""
    by_rule: dict[str, dict[ModelKey, list[Timestamp]]] = {rule: {} for rule in results.rules}
    together: dict[ModelKey, list[Timestamp]] = {}
    for request in results.sent():
        for decided in (by_rule[request.rule], together):
            decided.setdefault(request.model, []).append(request.sent_at)
    named = {**by_rule, "all rules": together, **baselines(labels)}
    return {name: score(labels, decided) for name, decided in named.items()}
