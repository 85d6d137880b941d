"""`decay`: forecast of when a trend crosses a limit, compared with the lead time of a retraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, WithJsonSchema, model_validator

from bridge.domain.batch import EventBatch
from bridge.domain.time_interval import TimeInterval, TimePeriod
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND, Timestamp, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import Crossings, RetrainStrategy, StateColumn, StrategyConfig, signal_word
from bridge.strategies.detector import in_unit
from bridge.strategies.stats.counts import DurationText
from bridge.strategies.stats.trend import LEAST, Lines, fit, student

FAR = 4  # windows after which a crossing is not forecast any more: the trend was observed for only one
EVE = DAY  # before the end of a cheap time: an early request is made no sooner, since the forecast still improves
CELLS = 64  # cell means per window; the last cell is still being filled
UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"))


class DecayConfig(StrategyConfig):
    """Parameters of `decay: {min: 0.85, lead_time: 3d}`.

    - `max`, `min`: limits that must not be crossed, in the signal's unit
    - `lead_time`: time from a request to the new version in service
    - `confidence`: confidence level of the interval of the crossing time
    - `min_coverage`: minimum share of the window that must have samples
    - `cheap_times`: times in which a retraining is cheaper, as in `time_intervals`
    - `cheap_saving`: share of the cost of a retraining that is saved in a cheap time
    """

    max: float | None = Field(default=None, examples=["200ms"])
    min: float | None = Field(default=None, examples=["200ms"])
    lead_time: DurationText
    window: DurationText = "7d"
    confidence: float = Field(default=0.9, ge=0.5, lt=1)
    min_coverage: float = Field(default=0.5, ge=LEAST / CELLS, le=1)
    cheap_times: tuple[Annotated[TimePeriod, WithJsonSchema({"type": "object"})], ...] = ()
    cheap_saving: float = Field(default=0.25, ge=0, le=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("requires max, min or both")
        if self.max is not None and self.min is not None and self.min >= self.max:
            raise ValueError(f"min ({self.min:g}) must be less than max ({self.max:g})")
        if parse_duration(self.window) < CELLS * SECOND:
            raise ValueError(f"window ({self.window}) must be at least {CELLS}s")
        return self


@dataclass(frozen=True, slots=True)
class Forecast(Verdicts):
    """Verdicts with the forecast behind them; all (k,).

    limit: the limit that is crossed first, in the signal's unit.
    level: height of the line at this slot.
    slope: slope of the line, per ms.
    earliest, latest: bounds of the crossing, in ms from the slot; NaN where the line moves away or is too uncertain.
    early: breached only because the cheap time before the crossing is ending.
    """

    limit: Floats
    level: Floats
    slope: Floats
    earliest: Floats
    latest: Floats
    early: NDArray[np.bool_]


class DecayStrategy(RetrainStrategy):
    """Strategy that is breached when a trend will cross a limit before a retraining can finish, or has crossed it.

    When to use: if quality changes slowly and steadily, and a retraining takes long compared with the time left. A line
    is fitted to the means of the parts of the window; the interval of its crossing time allows for autocorrelated
    noise.
    Sources: Fieller, Journal of the Royal Statistical Society B 16 (1954), for the interval of a ratio; Bayley and
    Hammersley, Supplement to the JRSS 8 (1946), for the effective number of correlated samples.
    """

    name = "decay"
    Config = DecayConfig
    forecasts = True
    state_dtype = np.dtype([
        ("cell", np.int64), ("sum", np.float64), ("count", np.int32), ("has", np.bool_, (CELLS,)),
        ("mean", np.float64, (CELLS,)), ("line", np.float64, (6,)), ("began", np.int64), ("asked", np.int64),
    ])  # fmt: skip

    def __init__(self, config: DecayConfig) -> None:
        self._config = config
        self._lead, self._window = parse_duration(config.lead_time), parse_duration(config.window)
        self._cheap = TimeInterval("cheap", config.cheap_times)
        self.history = self._window
        self._student = student((1 + config.confidence) / 2, CELLS)
        self._least = max(LEAST, round(config.min_coverage * (CELLS - 1)))  # of the complete ones
        self.warm_up = self._window * self._least // CELLS

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Forecast:
        """Add the samples to their cells, refit lines where a cell is complete, and forecast the crossings."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        values = batch.values()
        usable = np.isfinite(values)
        self._turn(memory, batch.slot * CELLS // self._window)
        memory["sum"] += np.where(usable, values, 0.0)
        memory["count"] += usable
        memory["began"][usable & (memory["began"] == 0)] = batch.slot
        forecast = self._forecast(Lines(*memory["line"].T), batch.slot)
        self._ask_early(forecast, memory, batch.slot)
        unknown = memory["line"][:, 5] == 0
        for doubtful, cause in ((unknown, Cause.WARMING_UP), (~usable, Cause.NAN)):
            forecast.code[doubtful], forecast.cause[doubtful] = Code.INCONCLUSIVE, cause
        return forecast

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return level, slope, and when the line crosses the limit."""
        if not isinstance(verdicts, Forecast):
            return super().describe(batch, position, verdicts)
        level, slope = float(f"{verdicts.level[position]:.3g}"), float(verdicts.slope[position])
        unit, word = next(((unit, word) for unit, word in UNITS if self._lead >= unit), (SECOND, "second"))
        pace = f"{'falls' if slope < 0 else 'rises'} by {in_unit(float(f'{abs(slope) * unit:.2g}'), batch)} per {word}"
        first, last = float(verdicts.earliest[position]), float(verdicts.latest[position])
        limit = in_unit(float(verdicts.limit[position]), batch)
        if not last > 0:
            return f"{signal_word(batch)} {in_unit(level, batch)} is past {limit} by its trend and {pace}"
        when = f"in {max(first, 0.0) / unit:.2g} to {last / unit:.2g} {word}s"
        lead = f"{'less' if last < self._lead else 'more'} than lead_time ({self._config.lead_time})"
        if verdicts.early[position]:
            lead += ", but retraining is cheaper now than when it is due"
        return f"{signal_word(batch)} {in_unit(level, batch)} {pace} and reaches {limit} {when}: {lead}"

    def crossings(self, state: StateColumn, slot: Timestamp) -> Crossings:
        """Return when the lines cross the limits; none where the limit is past, or further away than FAR windows."""
        forecast = self._forecast(Lines(*state["line"].T), slot)
        known = (state["line"][:, 5] > 0) & (forecast.latest > 0) & (forecast.latest <= FAR * self._window)
        first, last = slot + np.maximum(forecast.earliest, 0.0), slot + forecast.latest
        return Crossings(
            np.where(known, forecast.limit, np.nan), np.where(known, first, np.nan), np.where(known, last, np.nan),
            self._config.confidence,
        )  # fmt: skip

    def _turn(self, memory: StateColumn, cell: int) -> None:
        """Complete the cells that are over, drop those that are too old, and fit a line to the others."""
        due = np.flatnonzero(memory["cell"] != cell)
        if not len(due):
            return
        mine = memory[due]
        full = np.flatnonzero(mine["count"] > 0)
        indices = mine["cell"][full] % CELLS
        mine["mean"][full, indices] = mine["sum"][full] / mine["count"][full]
        mine["has"][full, indices] = True
        current = cell - (cell - np.arange(CELLS)) % CELLS  # cell number at each ring index
        mine["has"] &= current <= mine["cell"][:, None]
        mine["cell"], mine["sum"], mine["count"] = cell, 0.0, 0
        order = np.argsort(current)
        times = (current[order] - cell + 0.5).astype(np.float64)
        lines = fit(times, np.take(mine["mean"], order, axis=1), np.take(mine["has"], order, axis=1), self._student)
        enough = mine["has"].sum(axis=1) >= self._least
        mine["line"] = np.where(enough[:, None], np.stack(lines, axis=1), 0.0)
        memory[due] = mine

    def _forecast(self, lines: Lines, slot: Timestamp) -> Forecast:
        """Return when the lines cross the limits, and which do so within the lead time."""
        width = self._window / CELLS
        since = slot / width - slot * CELLS // self._window  # cells since the lines' origin
        size = len(lines.level)
        forecast = Forecast(
            np.zeros(size, np.int8), np.zeros(size, np.int8), np.full(size, np.nan), np.full(size, self._lead / SECOND),
            np.full(size, np.nan), lines.level + lines.slope * since, lines.slope / width,
            np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, np.bool_),
        )  # fmt: skip
        for limit, side in ((self._config.max, 1), (self._config.min, -1)):
            if limit is not None:
                self._cross(forecast, lines, since, limit, side)
        return forecast

    def _ask_early(self, forecast: Forecast, memory: StateColumn, slot: Timestamp) -> None:
        """Breach in the last cheap time before a retraining is due, where that saves more than the lifetime it costs.

        A retraining that comes a share x of a lifetime too early costs x of a retraining.
        """
        if not self._cheap.spans:
            return
        due = forecast.latest - self._lead  # ms from the slot
        ends = self._cheap.until(slot) - slot if self._cheap.contains(slot) else 0
        if 0 < ends <= EVE:
            again = self._cheap.begins(slot + ends) or slot + FAR * self._window
            life = slot - memory["began"] + due
            worth = (due >= ends) & (slot + due < again) & (due <= self._config.cheap_saving * life)
            memory["asked"][worth] = again
        memory["asked"][~(slot + due < memory["asked"])] = 0  # the trend has improved
        forecast.early[:] = (memory["asked"] > 0) & (forecast.code == Code.OK)
        forecast.code[forecast.early] = Code.BREACHED

    def _cross(self, forecast: Forecast, lines: Lines, since: float, limit: float, side: int) -> None:
        """Record the crossing of one limit, where it is the only one or the one that is crossed first."""
        width = self._window / CELLS
        first, last = lines.crossing(limit)
        toward = lines.slope * side > 0
        latest = np.where(toward, (last - since) * width, np.nan)
        past = side * (forecast.level - limit) > lines.margin(since)
        breached = past | (latest < self._lead)
        mine = breached | ((toward | np.isnan(forecast.limit)) & (forecast.code != Code.BREACHED))
        forecast.code[breached] = Code.BREACHED
        forecast.limit[mine] = limit
        forecast.latest[mine] = np.where(past, np.nan, latest)[mine]
        forecast.earliest[mine] = np.where(past | ~toward, np.nan, (first - since) * width)[mine]
        forecast.statistic[mine] = np.where(past, 0.0, np.maximum(latest, 0.0) / SECOND)[mine]
