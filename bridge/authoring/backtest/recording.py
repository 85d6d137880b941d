"""What signals did during a backtest, kept for charts: so many steps of time, however long the backtest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelTable
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Verdicts
from bridge.engine.evaluation.rule import RuleEvaluator

STEPS = 300
MOST_MODELS = 1000
Cells = NDArray[np.float32]


@dataclass(slots=True)
class Track:
    """One rule's numbers, float32 (models, STEPS) as bytes of four planes: lowest and highest value, then the last
    statistic and threshold of each step.
    """

    models: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Line:
    """One rule and model: float32 (STEPS,) each, NaN where there was nothing."""

    low: Cells
    high: Cells
    statistic: Cells
    threshold: Cells

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.low).any())


@dataclass(slots=True)
class Recording:
    """Of all rules, over [since, until]."""

    since: Timestamp
    until: Timestamp
    tracks: dict[str, Track] = field(default_factory=dict)


class Recorder:
    """Writes a recording while a replay runs; of the first MOST_MODELS models."""

    def __init__(self, since: Timestamp, until: Timestamp, table: ModelTable, before: Recording | None = None) -> None:
        self._since, self._until, self._table = since, until, table
        self._planes: dict[str, Cells] = {}
        for rule, track in (before.tracks if before else {}).items():
            planes = np.frombuffer(track.data, np.float32).reshape(4, track.models, STEPS)
            self._planes[rule] = planes.copy()

    def take(self, runs: Iterable[RuleEvaluator], slot: Timestamp) -> None:
        """What the rules of a group saw in a slot."""
        step = min(STEPS - 1, (slot - self._since) * STEPS // max(1, self._until - self._since))
        for run in runs:
            found = run.evaluation
            if found is not None and found.batch is not None and found.verdicts is not None and len(found.batch):
                self._note(run.rule.name, found.batch.index, step, found.batch.values(), found.verdicts)

    def _note(
        self, rule: str, index: NDArray[np.int32], step: int, values: NDArray[np.float64], verdicts: Verdicts
    ) -> None:
        planes = self._room(rule)
        few = index < MOST_MODELS
        index = index[few]
        low, high, statistic, threshold = (plane[:, step] for plane in planes)
        value = values[few]
        low[index] = np.fmin(low[index], value)
        high[index] = np.fmax(high[index], value)
        statistic[index], threshold[index] = verdicts.statistic[few], verdicts.threshold[few]

    def _room(self, rule: str) -> Cells:
        size = min(len(self._table), MOST_MODELS)
        planes = self._planes.get(rule)
        known = 0 if planes is None else planes.shape[1]
        if planes is None or known < size:
            grown = np.full((4, size, STEPS), np.nan, np.float32)
            if planes is not None:
                grown[:, :known] = planes
            planes = self._planes[rule] = grown
        return planes

    def recording(self) -> Recording:
        """What was written so far."""
        tracks = {rule: Track(planes.shape[1], planes.tobytes()) for rule, planes in self._planes.items()}
        return Recording(self._since, self._until, tracks)

    def line(self, rule: str, model: int) -> Line | None:
        """Of a rule and model slot; None when nothing was recorded."""
        planes = self._planes.get(rule)
        if planes is None or model >= planes.shape[1]:
            return None
        return Line(*(plane[model] for plane in planes))
