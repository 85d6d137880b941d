"""Recording of signals during a backtest, for charts: at most STEPS time steps, however long the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelTable
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Verdicts
from bridge.engine.evaluation.evaluation import Evaluation

STEPS = 300
MOST_MODELS = 1000
Cells = NDArray[np.float32]


@dataclass(slots=True)
class RuleRecording:
    """Recording of one rule.

    models: number of models.
    steps: number of time steps; each has at least one slot of the rule's group, so that a gap is a missing sample.
    data: four float32 planes (models, steps) as bytes: lowest and highest value, last statistic and last threshold.
    """

    models: int = 0
    steps: int = STEPS
    data: bytes = b""


@dataclass(slots=True)
class ModelSeries:
    """Recording of one rule and model: float32 (steps,) each, NaN without a sample."""

    low: Cells
    high: Cells
    statistic: Cells
    threshold: Cells

    @property
    def known(self) -> bool:
        """True if there is any value."""
        return bool(np.isfinite(self.low).any())

    @property
    def first(self) -> int:
        """Index of the first step with a value, of a line that has one."""
        return int(np.argmax(np.isfinite(self.low)))


@dataclass(slots=True)
class Recording:
    """Recording of all rules over [since, until]."""

    since: Timestamp
    until: Timestamp
    rules: dict[str, RuleRecording] = field(default_factory=dict)


class Recorder:
    """Recorder of a running replay, limited to the first MOST_MODELS models.

    intervals: rule -> evaluation interval of its group.
    """

    def __init__(
        self, since: Timestamp, until: Timestamp, table: ModelTable, intervals: Mapping[str, Duration],
        before: Recording | None = None,
    ) -> None:  # fmt: skip
        self._since, self._until, self._table = since, until, table
        self._steps = {rule: max(1, min(STEPS, (until - since) // width)) for rule, width in intervals.items()}
        self._planes: dict[str, Cells] = {}
        if before is not None:
            for rule, recorded in before.rules.items():
                planes = np.frombuffer(recorded.data, np.float32).reshape(4, recorded.models, recorded.steps)
                self._planes[rule] = planes.copy()

    def take(self, evaluations: Mapping[str, Evaluation]) -> None:
        """Record the evaluations of a group's rules in a slot, by rule."""
        for rule, result in evaluations.items():
            steps = self._steps[rule]
            step = min(steps - 1, (result.slot - self._since) * steps // max(1, self._until - self._since))
            if result.batch is not None and result.verdicts is not None and len(result.batch):
                self._record(rule, result.batch.index, step, result.batch.values(), result.verdicts)

    def _record(
        self, rule: str, index: NDArray[np.int32], step: int, values: NDArray[np.float64], verdicts: Verdicts
    ) -> None:
        planes = self._grown_planes(rule)
        recorded = index < MOST_MODELS
        index = index[recorded]
        low, high, statistic, threshold = (plane[:, step] for plane in planes)
        value = values[recorded]
        low[index] = np.fmin(low[index], value)
        high[index] = np.fmax(high[index], value)
        statistic[index], threshold[index] = verdicts.statistic[recorded], verdicts.threshold[recorded]

    def _grown_planes(self, rule: str) -> Cells:
        size = min(len(self._table), MOST_MODELS)
        planes = self._planes.get(rule)
        known = 0 if planes is None else planes.shape[1]
        if planes is None or known < size:
            grown = np.full((4, size, self._steps[rule]), np.nan, np.float32)
            if planes is not None:
                grown[:, :known] = planes
            planes = self._planes[rule] = grown
        return planes

    def recording(self) -> Recording:
        """Return what was recorded so far."""
        rules = {
            rule: RuleRecording(planes.shape[1], planes.shape[2], planes.tobytes())
            for rule, planes in self._planes.items()
        }
        return Recording(self._since, self._until, rules)

    def line(self, rule: str, model: int) -> ModelSeries | None:
        """Return the recording of a rule and model row; None if nothing was recorded."""
        planes = self._planes.get(rule)
        if planes is None or model >= planes.shape[1]:
            return None
        return ModelSeries(*(plane[model] for plane in planes))
