"""Detectors outside the engine: one strategy, some models, sample after sample; run lengths of the bare statistic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import MINUTE
from bridge.domain.verdict import Cause, Code
from bridge.strategies.detector import Detector, DetectorVerdicts
from bridge.strategies.registry import build

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC
PLAIN: dict[str, Any] = {"reference": "fixed", "level": 0.0, "spread": 1.0, "whiten": False, "clip": 100.0}


class Story:
    """A detector that looks at one number of each of some models every `step`."""

    def __init__(
        self, name: str, params: dict[str, Any], models: int = 1, *, event: EventKind = EventKind.CUSTOM,
        step: int = 5 * MINUTE, signal: str = "score", unit_ms: float = 1.0,
    ) -> None:  # fmt: skip
        self.detector = detector(name, params)
        self.state = self.detector.new_state(models)
        self.event, self.step, self.slot, self.signal, self.unit_ms = event, step, START, signal, unit_ms
        self.table = ModelTable()
        self.index = np.array([self.table.row(ModelKey("p", "q", str(index))) for index in range(models)], np.int32)
        self.batch: EventBatch | None = None
        self.verdicts: DetectorVerdicts | None = None

    def see(self, *values: float | NDArray[np.float64]) -> list[str]:
        """One number for each model; code of each, or the cause of not knowing."""
        self.slot += self.step
        numbers = np.asarray(values[0] if len(values) == 1 and isinstance(values[0], np.ndarray) else values, float)
        self.batch = EventBatch(
            self.signal, self.event, self.slot, self.table, self.index, {"value": numbers}, unit_ms=self.unit_ms
        )
        self.verdicts = self.detector.analyse_batch(self.batch, self.state)
        told = zip(self.verdicts.code.tolist(), self.verdicts.cause.tolist(), strict=True)
        return [Cause(cause).name if cause else Code(code).name for code, cause in told]

    def reason(self, position: int = 0) -> str:
        assert self.batch is not None
        assert self.verdicts is not None
        return self.detector.describe(self.batch, position, self.verdicts)


def detector(name: str, params: dict[str, Any]) -> Detector:
    """A detector by name."""
    built = build(StrategySpec(name, params))
    assert isinstance(built, Detector)
    return built


def run_lengths(
    one: Detector, draw: np.random.Generator, shift: float, models: int, most: int, side: int = 0
) -> NDArray[np.int64]:
    """(models,) samples of N(shift, 1) until the bare statistic hits, to `side` if given; `most` if it does not."""
    memory = np.zeros(models, one.state_dtype)["own"].copy()
    length, waiting = np.full(models, most, np.int64), np.arange(models)
    for look in range(1, most + 1):
        found = one.detect(shift + draw.standard_normal(len(waiting)), memory)
        hit = found.hit & ((side == 0) | (found.side == side))
        length[waiting[hit]] = look
        waiting, memory = waiting[~hit], memory[~hit]
        if not len(waiting):
            break
    return length


def hits(one: Detector, stream: NDArray[np.float64]) -> list[int]:
    """Places in the stream at which the bare statistic hits."""
    memory = np.zeros(1, one.state_dtype)["own"].copy()
    return [index for index, z in enumerate(stream) if one.detect(np.array([z]), memory).hit[0]]
