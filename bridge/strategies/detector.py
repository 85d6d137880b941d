"""Base class of change detectors: standardised input, an alarm that lasts as long as the change, and its reason."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.times import Timestamp
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig, signal_word
from bridge.strategies.stats.standardise import (
    NO_UNCERTAINTY,
    Bools,
    StandardiseConfig,
    Standardised,
    Standardiser,
    Uncertainty,
)

Int8 = NDArray[np.int8]
RECENT = 0.1  # weight of the newest sample in the mean deviation that ends an alarm
OVER = 0.5  # robust sigmas: an alarm ends when the mean deviation is smaller
BAND = 3.0  # robust sigmas: half the width of the band that charts show
FAR = 4.0  # robust sigmas: clipping limit of a deviation in that mean
ALARM: list[Any] = [("side", np.int8), ("suspect", np.bool_), ("recent", np.float32)]
_WORSE = frozenset({EventKind.LATENCY, EventKind.DRIFT, EventKind.INFERENCE_ERROR})


class DetectorConfig(StrategyConfig):
    """Parameters of every detector.

    - `side`: direction that counts; by default `up` for latency, drift and error rate, `both` for custom signals
    """

    side: Literal["up", "down", "both"] | None = None
    standardise: StandardiseConfig = Field(default_factory=StandardiseConfig)


class DetectorOutput(NamedTuple):
    """Result of a detector; all (k,).

    side: direction of the possible change, 1 or -1.
    hit: a change is detected.
    """

    statistic: Floats
    limit: Floats
    side: Int8
    hit: Bools


@dataclass(frozen=True, slots=True)
class DetectorVerdicts(Verdicts):
    """Verdicts with the standardised samples behind them."""

    standardised: Standardised

    def band(self) -> tuple[Floats, Floats]:
        """Return the reference minus and plus three robust sigmas; NaN while the reference is being learnt."""
        usual = self.standardised
        reach = np.where(usual.ready, BAND * usual.spread, np.nan)
        return usual.level - reach, usual.level + reach


class Detector(RetrainStrategy):
    """Change detector: standardises samples, detects, and keeps the alarm until the signal is back at its reference.

    Subclasses implement `detect`.
    title: name of the statistic.
    suspicion: share of the limit above which nothing is learnt, so that the reference does not follow a change.
    memory: dtype fields of the detector's own state.
    """

    title: ClassVar[str]
    suspicion: ClassVar[float] = 0.5
    Config = DetectorConfig

    def __init__(self, config: DetectorConfig, memory: list[Any]) -> None:
        self.side = config.side
        self.standardiser = Standardiser(config.standardise)
        self.history, self.warm_up = self.standardiser.history, self.standardiser.warm_up
        self._standardise = config.standardise
        self.state_dtype = np.dtype(
            [("alarm", ALARM), ("own", memory), ("usual", self.standardiser.dtype)]
        )  # fmt: skip

    @abstractmethod
    def detect(self, z: Floats, own: StateColumn, uncertainty: Uncertainty = NO_UNCERTAINTY) -> DetectorOutput:
        """Process standardised samples z (k,), none of them NaN, and update the state own (k,) in place."""

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> DetectorVerdicts:
        """Standardise the samples, run the detector, and return verdicts from the alarms that are on then."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        values, alarm = batch.values(), memory["alarm"]
        freeze = (alarm["side"] != 0) | alarm["suspect"]
        usual = self.standardiser.step(values, batch.slot, memory["usual"], freeze, batch.event)
        known = ~np.isnan(usual.z)
        detection = self._detect(usual, known, memory)
        self._alarm(detection, usual.deviation, known, alarm, batch.event)
        code = np.where(alarm["side"] != 0, np.int8(Code.BREACHED), np.int8(Code.OK))
        cause = np.where(np.isnan(values), np.int8(Cause.NAN), np.int8(Cause.WARMING_UP))
        code[~known], cause[known] = Code.INCONCLUSIVE, Cause.NONE
        return DetectorVerdicts(code, cause, detection.statistic, detection.limit, usual)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return the distance from the usual level, in the signal's unit, with statistic and limit."""
        detail = f"{self.title} {verdicts.statistic[position]:.4g}, limit {verdicts.threshold[position]:.4g}"
        value = float(batch.values()[position])
        if not isinstance(verdicts, DetectorVerdicts):
            return f"{signal_word(batch)} {in_unit(value, batch)} ({detail})"
        usual = verdicts.standardised
        sigmas = float(usual.deviation[position])
        if not verdicts.statistic[position] > verdicts.threshold[position]:
            detail += ", alarm still on"
        return (
            f"{signal_word(batch)} {in_unit(value, batch)} is {abs(sigmas):.2g} robust sigmas"
            f" {'above' if sigmas > 0 else 'below'} its usual {in_unit(float(usual.level[position]), batch)}"
            f"{self._when(batch.slot)} ({detail})"
        )

    def _detect(self, usual: Standardised, known: Bools, memory: StateColumn) -> DetectorOutput:
        """Run `detect` on models with a known sample; the result is NaN elsewhere."""
        z = usual.z
        if known.all():
            return self.detect(z, memory["own"], usual.uncertainty)
        which = np.flatnonzero(known)
        own = memory["own"][which]
        detection = self.detect(z[which], own, usual.uncertainty.rows(which))
        memory["own"][which] = own
        return DetectorOutput(
            _scatter(detection.statistic, which, np.full(len(z), np.nan)),
            _scatter(detection.limit, which, np.full(len(z), np.nan)),
            _scatter(detection.side, which, np.zeros(len(z), np.int8)),
            _scatter(detection.hit, which, np.zeros(len(z), np.bool_)),
        )

    def _alarm(
        self, detection: DetectorOutput, deviation: Floats, known: Bools, alarm: StateColumn, kind: EventKind
    ) -> None:
        """Start alarms where a change in a direction that counts is detected, and end them where the signal is back."""
        side, recent = alarm["side"], alarm["recent"]
        near = np.where(known, np.clip(deviation, -FAR, FAR), recent)
        alarm["recent"] = recent = recent + RECENT * (near - recent)
        wanted = self.side or ("up" if kind in _WORSE else "both")
        counts = (
            detection.hit if wanted == "both" else detection.hit & (detection.side == (1 if wanted == "up" else -1))
        )
        back = known & ~detection.hit & (recent * side < OVER)
        alarm["suspect"] = np.where(known, detection.statistic > self.suspicion * detection.limit, alarm["suspect"])
        alarm["side"] = np.where(counts & (side == 0), detection.side, np.where(back, np.int8(0), side))

    def _when(self, slot: Timestamp) -> str:
        config = self._standardise
        if config.reference == "seasonal":
            local = datetime.fromtimestamp(slot / 1000, UTC).astimezone(ZoneInfo(config.time_zone))
            day = f"{local:%A} " if config.season == "week" else ""
            return f" for {day}{local:%H:%M}"
        return {"version": " since its version began", "sliding": f" of the last {config.window}", "fixed": ""}[
            config.reference
        ]


def _scatter(part: NDArray[Any], which: NDArray[np.int64], whole: NDArray[Any]) -> NDArray[Any]:
    whole[which] = part
    return whole


def in_unit(value: float, batch: EventBatch) -> str:
    """Return a value for display: in milliseconds or seconds, in per cent of requests, or as a plain number."""
    if batch.event is EventKind.LATENCY:
        length = value * batch.unit_ms
        return f"{length / 1000:.4g} s" if length >= 10_000 else f"{length:.4g} ms"
    if batch.event is EventKind.INFERENCE_ERROR:
        return f"{100 * value:.3g} %"
    return f"{value:.6g}"
