"""What detectors of a change share: standardised input, an alarm that lasts while the change does, and its words."""

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
from bridge.domain.times import Timestamp, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig, signal_word
from bridge.strategies.stats.standardise import NO_DOUBT, Bools, Doubt, StandardiseConfig, Standardised, Standardiser

Int8 = NDArray[np.int8]
RECENT = 0.1  # share of the newest sample in the mean deviation that decides when an alarm is over
OVER = 0.5  # robust sigmas: an alarm is over when the mean deviation is nearer to the reference
BAND = 3.0  # robust sigmas: what is shown as usual
FAR = 4.0  # robust sigmas: what is further out counts as this much towards it
ALARM: list[Any] = [("side", np.int8), ("suspect", np.bool_), ("recent", np.float32)]
_WORSE = frozenset({EventKind.LATENCY, EventKind.DRIFT, EventKind.INFERENCE_ERROR})


class DetectorConfig(StrategyConfig):
    """side: which changes count; None = rises of latency, drift and error rate, both ways for custom signals."""

    side: Literal["up", "down", "both"] | None = None
    standardise: StandardiseConfig = Field(default_factory=StandardiseConfig)


class Found(NamedTuple):
    """What a detector makes of samples (k,): statistic and limit, and the side (1, -1) to which the change would be.

    hit: whether it is one.
    """

    statistic: Floats
    limit: Floats
    side: Int8
    hit: Bools


@dataclass(frozen=True, slots=True)
class Detected(Verdicts):
    """Verdicts, with the standardised samples that they were made from."""

    standardised: Standardised

    def band(self) -> tuple[Floats, Floats]:
        """Three robust sigmas around the reference; none while it is still being learnt."""
        usual = self.standardised
        reach = np.where(usual.ready, BAND * usual.spread, np.nan)
        return usual.level - reach, usual.level + reach


class Detector(RetrainStrategy):
    """Standardises, detects on what is ready, and keeps the alarm on until the signal is back at its reference.

    title: what its statistic is called. suspicion: from which share of its limit on nothing is learnt, so that a change
    does not become what is usual while it is being found. memory: fields of its own state. A detector writes `detect`.
    """

    title: ClassVar[str]
    suspicion: ClassVar[float] = 0.5
    Config = DetectorConfig

    def __init__(self, config: DetectorConfig, memory: list[Any]) -> None:
        self.side = config.side
        self.standardiser = Standardiser(config.standardise)
        self.history, self.warm_up = self.standardiser.history, parse_duration(config.standardise.warm_up)
        self._about = config.standardise
        self.state_dtype = np.dtype(
            [("alarm", ALARM), ("own", memory), ("usual", self.standardiser.dtype)]
        )  # fmt: skip

    @abstractmethod
    def detect(self, z: Floats, own: StateColumn, doubt: Doubt = NO_DOUBT) -> Found:
        """Look at standardised samples z (k,), none of them NaN; own (k,) is the memory, changed in place."""

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Detected:
        """Standardise, detect, and judge by the alarms that are on then."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        values, alarm = batch.values(), memory["alarm"]
        freeze = (alarm["side"] != 0) | alarm["suspect"]
        usual = self.standardiser.step(values, batch.slot, memory["usual"], freeze, batch.event)
        known = ~np.isnan(usual.z)
        found = self._detect(usual, known, memory)
        self._alarm(found, usual.deviation, known, alarm, batch.event)
        code = np.where(alarm["side"] != 0, np.int8(Code.BREACHED), np.int8(Code.OK))
        cause = np.where(np.isnan(values), np.int8(Cause.NAN), np.int8(Cause.WARMING_UP))
        code[~known], cause[known] = Code.INCONCLUSIVE, Cause.NONE
        return Detected(code, cause, found.statistic, found.limit, usual)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """How far from its usual level, in the signal's unit, and what the detector made of that."""
        told = f"{self.title} {verdicts.statistic[position]:.4g}, limit {verdicts.threshold[position]:.4g}"
        value = float(batch.values()[position])
        if not isinstance(verdicts, Detected):
            return f"{signal_word(batch)} {in_unit(value, batch)} ({told})"
        usual = verdicts.standardised
        sigmas = float(usual.deviation[position])
        if not verdicts.statistic[position] > verdicts.threshold[position]:
            told += ", not back since it was above"
        return (
            f"{signal_word(batch)} {in_unit(value, batch)} is {abs(sigmas):.2g} robust sigmas"
            f" {'above' if sigmas > 0 else 'below'} its usual {in_unit(float(usual.level[position]), batch)}"
            f"{self._when(batch.slot)} ({told})"
        )

    def _detect(self, usual: Standardised, known: Bools, memory: StateColumn) -> Found:
        """What `detect` says where there is something to look at, NaN elsewhere."""
        z = usual.z
        if known.all():
            return self.detect(z, memory["own"], usual.doubt)
        which = np.flatnonzero(known)
        own = memory["own"][which]
        some = self.detect(z[which], own, usual.doubt.of(which))
        memory["own"][which] = own
        return Found(
            _spread(some.statistic, which, np.full(len(z), np.nan)),
            _spread(some.limit, which, np.full(len(z), np.nan)),
            _spread(some.side, which, np.zeros(len(z), np.int8)),
            _spread(some.hit, which, np.zeros(len(z), np.bool_)),
        )

    def _alarm(self, found: Found, deviation: Floats, known: Bools, alarm: StateColumn, kind: EventKind) -> None:
        """Alarms go on where a change was found to a side that counts, and off where the signal is back."""
        side, recent = alarm["side"], alarm["recent"]
        near = np.where(known, np.clip(deviation, -FAR, FAR), recent)
        alarm["recent"] = recent = recent + RECENT * (near - recent)
        wanted = self.side or ("up" if kind in _WORSE else "both")
        counts = found.hit if wanted == "both" else found.hit & (found.side == (1 if wanted == "up" else -1))
        back = known & ~found.hit & (recent * side < OVER)
        alarm["suspect"] = np.where(known, found.statistic > self.suspicion * found.limit, alarm["suspect"])
        alarm["side"] = np.where(counts & (side == 0), found.side, np.where(back, np.int8(0), side))

    def _when(self, slot: Timestamp) -> str:
        about = self._about
        if about.reference == "seasonal":
            here = datetime.fromtimestamp(slot / 1000, UTC).astimezone(ZoneInfo(about.time_zone))
            day = f"{here:%A} " if about.season == "week" else ""
            return f" for {day}{here:%H:%M}"
        return {"version": " since its version began", "sliding": f" of the last {about.window}", "fixed": ""}[
            about.reference
        ]


def _spread(some: NDArray[Any], which: NDArray[np.int64], whole: NDArray[Any]) -> NDArray[Any]:
    whole[which] = some
    return whole


def in_unit(value: float, batch: EventBatch) -> str:
    """A value as people write it: milliseconds or seconds, per cent of requests, or the number."""
    if batch.event is EventKind.LATENCY:
        length = value * batch.unit_ms
        return f"{length / 1000:.4g} s" if length >= 10_000 else f"{length:.4g} ms"
    if batch.event is EventKind.INFERENCE_ERROR:
        return f"{100 * value:.3g} %"
    return f"{value:.6g}"
