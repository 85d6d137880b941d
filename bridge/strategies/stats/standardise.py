"""Standardisation of a signal for detectors: deviation from the reference in units of its noise, uncorrelated.

    transform -> minus reference -> AR(1) pre-whitening -> / robust scale -> clip

Detectors nest the state of a `Standardiser` in their own `state_dtype` and pass it for all models at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from bridge.domain.batch import EventKind
from bridge.domain.times import DURATION_PATTERN, HOUR, Duration, Timestamp, format_duration, parse_duration
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn, StrategyConfig
from bridge.strategies.stats.ar1_noise import FEW, HUBER, LEAST, TINY, Innovations, Noise, NoiseState
from bridge.strategies.stats.counts import DurationText
from bridge.strategies.stats.seasonal_profile import HOURS, SeasonalProfile

Bools = NDArray[np.bool_]
Transform = Literal["none", "log", "logit"]
ODDS = 1e-4  # shares are clipped this far from 0 and 1, where the logit is infinite
BETWEEN = 1.5  # mean number of hours of samples behind a level that is interpolated between two hours
NAMES = ("first", "level", *Noise.names)
_BY_KIND: dict[EventKind, Transform] = {
    EventKind.LATENCY: "log", EventKind.DRIFT: "logit", EventKind.INFERENCE_ERROR: "logit", EventKind.CUSTOM: "none",
}  # fmt: skip


_HISTORY_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"enum": ["0"]}]}, mode="validation"
)


def _any_duration(text: str) -> str:
    return format_duration(parse_duration(text))


class StandardiseConfig(StrategyConfig):
    """Parameters of `standardise: {reference: seasonal}`.

    - `transform`: by default `log` for latency, `logit` for drift and error rate, `none` for custom signals
    - `level`, `spread`: level and standard deviation of a `fixed` reference, in the signal's unit
    - `floor`: minimum standard deviation, as a share of the level
    - `warm_up`: learning time before the first verdict
    - `window`: for `version`, learning time; for `sliding`, memory of level and noise; for `seasonal`, of the noise
    - `history`: how much history a new rule reads; by default, what the reference needs
    - `whiten`: whether to subtract what the previous sample predicts
    - `clip`: clipping limit of a sample, in sigmas
    """

    transform: Transform | None = None
    reference: Literal["version", "fixed", "sliding", "seasonal"] = "seasonal"
    season: Literal["day", "week"] = "week"
    time_zone: str = "UTC"
    warm_up: DurationText = "1d"
    window: DurationText = "7d"
    level: float | None = None
    spread: float | None = Field(default=None, gt=0)
    floor: float = Field(default=0.01, ge=0)
    whiten: bool = True
    clip: float = Field(default=4.0, gt=0)
    history: Annotated[str, AfterValidator(_any_duration), _HISTORY_SCHEMA] | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"unknown time zone {name!r}; use an IANA name, such as Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.reference != "fixed" and (self.level is not None or self.spread is not None):
            raise ValueError("level and spread require reference: fixed")
        if self.reference == "fixed" and (self.level is None or self.spread is None):
            raise ValueError("reference: fixed requires level and spread, both in the signal's unit")
        if self.transform == "log" and self.level is not None and self.level <= 0:
            raise ValueError("level must be above 0 for transform: log")
        if self.transform == "logit" and self.level is not None and not 0 < self.level < 1:
            raise ValueError("level must be between 0 and 1 for transform: logit")
        return self


class Uncertainty(NamedTuple):
    """Uncertainty of z from the estimated reference, and attenuation by whitening; (k,), or (1,) for all models.

    error: standard deviation of the bias of z.
    lasts: number of samples for which the bias stays the same; 0 without a bias.
    phi: AR(1) coefficient; a lasting shift by one sigma shows as sqrt((1 - phi) / (1 + phi)) in z.
    """

    error: Floats
    lasts: Floats
    phi: Floats

    def rows(self, which: NDArray[np.int64]) -> Uncertainty:
        """Return the uncertainty of some models."""
        return Uncertainty(*(column[which] for column in self))


NO_UNCERTAINTY = Uncertainty(np.zeros(1), np.zeros(1), np.zeros(1))


@dataclass(frozen=True, slots=True)
class Standardised:
    """Standardised values of a batch; all (k,).

    z: clipped and pre-whitened; NaN where not `ready` or where the value is missing.
    ready: reference and noise are known.
    level, spread: reference and robust sigma around it, in the signal's unit; NaN where unknown.
    deviation: distance from the level in robust sigmas, neither clipped nor pre-whitened.
    uncertainty: of z.
    """

    z: Floats
    ready: Bools
    level: Floats
    spread: Floats
    deviation: Floats
    uncertainty: Uncertainty


class Standardiser:
    """Standardisation of the values of models, with a reference that is learnt.

    dtype: of the state of one model; zero = never seen.
    history: ms of history to read at a cold start, 0 = none.
    warm_up: ms of samples before the first value is standardised: after one season, the noise around it is learnt.
    """

    def __init__(self, config: StandardiseConfig) -> None:
        self._config = config
        self._warm_up, self._window = parse_duration(config.warm_up), parse_duration(config.window)
        self._noise = Noise(whiten=config.whiten)
        self._season: SeasonalProfile | None = None
        fields: list[Any] = [
            ("now", np.float64, (len(NAMES),))
        ]  # includes timestamps: float64 holds ms since the epoch exactly
        if config.reference == "seasonal":
            self._season = SeasonalProfile(HOURS[config.season], config.time_zone)
            fields += self._season.fields
        self.dtype = np.dtype(fields)
        season = HOURS[config.season] * HOUR if config.reference == "seasonal" else 0
        at_once = config.reference == "fixed" and not config.whiten
        self.warm_up: Duration = 0 if at_once else season + self._warm_up
        self.history = self._default_history() if config.history is None else parse_duration(config.history)

    def step(
        self, values: Floats, slot: Timestamp, state: StateColumn, freeze: Bools, kind: EventKind = EventKind.CUSTOM
    ) -> Standardised:
        """Standardise values (k,) of `slot`, and update the state (k,) in place. A missing value changes nothing.

        freeze: (k,) models whose reference and noise are not updated, because their alarm is on.
        kind: kind of event, which selects the default transform.
        """
        transform = self._config.transform or _BY_KIND[kind]
        columns = np.ascontiguousarray(state["now"].T)
        now: NoiseState = dict(zip(NAMES, columns, strict=True))
        with np.errstate(all="ignore"):  # logarithms of 0 and infinite values, which are never learnt from
            standardised = self._step(forward(values, transform), slot, state, now, freeze, transform)
        for index, name in enumerate(NAMES):
            columns[index] = now[name]
        state["now"] = columns.T
        return standardised

    def _step(
        self, numbers: Floats, slot: Timestamp, state: StateColumn, now: NoiseState, freeze: Bools, transform: Transform
    ) -> Standardised:
        level, least = self._level(numbers, slot, state, now, transform)
        residual = numbers - level
        innovations = self._noise.compare(residual, slot, now, least)
        if self._config.spread is not None:
            innovations = self._of_fixed_spread(innovations, transform)
        usual = innovations
        if self._season is not None:
            innovations = innovations.wider(self._season.noise(slot, state))
        ready = self._ready(slot, now) & ~np.isnan(level)
        usable, uncertainty = ~np.isnan(numbers), self._uncertainty(innovations, slot, state, now)
        learns = usable & ~freeze & np.isfinite(numbers)
        if self._season is not None:
            sure = learns & (now["count"] >= LEAST) & ~np.isnan(level)
            self._season.learn_noise(slot, state, usual.innovation / usual.width, sure)
        self._learn(numbers, level, usual, slot, state, now, learns)
        self._noise.remember(innovations, residual, slot, now, usable & ~np.isnan(level))
        clip = self._config.clip
        z = np.minimum(np.maximum(innovations.innovation / innovations.width, -clip), clip)
        z[~ready] = np.nan
        unit, spread = backward(level, innovations.spread, transform)
        return Standardised(z, ready, unit, spread, residual / innovations.spread, uncertainty)

    def _default_history(self) -> Duration:
        match self._config.reference:
            case "seasonal":  # one season to learn the levels, and another for the noise around them
                return 2 * HOURS[self._config.season] * HOUR
            case "sliding" | "version":
                return max(self._window, self._warm_up)
        return self._warm_up if self._config.whiten else 0

    def _level(
        self, numbers: Floats, slot: Timestamp, state: StateColumn, now: NoiseState, transform: Transform
    ) -> tuple[Floats, Floats]:
        """Return the reference (k,), NaN where unknown, and the smallest spread around it."""
        if self._config.level is not None:
            level = np.full(len(numbers), float(forward(np.array([self._config.level]), transform)[0]))
        elif self._season is not None:
            level = self._season.reference(slot, state)
        else:
            level = np.where(now["last"] > 0, now["level"], np.where(np.isfinite(numbers), numbers, np.nan))
        share = np.abs(level) if transform == "none" else 1.0
        return level, np.maximum(self._config.floor * share, TINY)

    def _uncertainty(
        self, innovations: Innovations, slot: Timestamp, state: StateColumn, now: NoiseState
    ) -> Uncertainty:
        """Return the uncertainty of z: a mean of n samples leaves a bias of about 1 / sqrt(n), however correlated."""
        if self._config.level is not None:
            return Uncertainty(np.zeros(len(state)), np.zeros(len(state)), innovations.phi)
        step = np.maximum(now["step"], 1)
        if self._season is not None:
            lasts = HOUR / step
            behind = BETWEEN * lasts * self._season.seen(slot, state)
        else:
            lasts = np.full(len(state), np.inf)
            behind = now["count"] + 1
            if self._config.reference == "sliding":
                behind = np.minimum(behind, 2 * self._window / step)
        most = np.sqrt((1 - innovations.phi) / (1 + innovations.phi))  # the level is off by at most one sigma
        return Uncertainty(np.minimum(1 / np.sqrt(np.maximum(behind, 1)), most), lasts, innovations.phi)

    def _of_fixed_spread(self, innovations: Innovations, transform: Transform) -> Innovations:
        level, spread = np.array([self._config.level]), np.array([self._config.spread])
        slope = float(backward(forward(level, transform), np.ones(1), transform)[1][0])
        sigma = np.full(len(innovations.spread), float(spread[0]) / slope)
        return innovations._replace(spread=sigma, width=sigma * np.sqrt(1 - innovations.carried**2))

    def _ready(self, slot: Timestamp, now: NoiseState) -> Bools:
        if self._config.level is not None and not self._config.whiten:
            return np.ones(len(now["count"]), np.bool_)
        return np.asarray((now["count"] >= LEAST) & (slot - now["first"] >= self._warm_up))

    def _learn(
        self,
        numbers: Floats,
        level: Floats,
        innovations: Innovations,
        slot: Timestamp,
        state: StateColumn,
        now: NoiseState,
        which: Bools,
    ) -> None:
        """Learn the noise, and the level unless it is fixed, where `which`.

        A version reference learns only during the first `window`: otherwise slow drift would widen the noise and hide.
        """
        residual, known = numbers - level, which & ~np.isnan(level)
        if self._config.reference in {"version", "fixed"}:
            known &= (now["first"] == 0) | (slot - now["first"] < max(self._window, self._warm_up))
        bound = np.where(now["count"] >= FEW, HUBER * innovations.spread, np.inf)
        clipped = np.where(known, np.minimum(np.maximum(residual, -bound), bound), 0.0)
        if self._season is not None:
            self._season.add(slot, state, np.where(known, level + clipped, numbers), which)
        elif self._config.level is None:
            now["level"] = np.where(known, level + self._level_gain(innovations, now) * clipped, now["level"])
        now["first"] = np.where(known & (now["first"] == 0), slot, now["first"])
        self._noise.learn(innovations, residual, now, known, self._window)

    def _level_gain(self, innovations: Innovations, now: NoiseState) -> Floats:
        """Return the weight (k,) of the newest sample in the level."""
        equal = 1 / (now["count"] + 2)
        if self._config.reference == "version":
            return equal
        return np.minimum(np.maximum(equal, innovations.passed / self._window), 1.0)


def forward(values: Floats, transform: Transform) -> Floats:
    """Return values (k,) on the scale of the transform: unchanged, logarithms, or logits."""
    if transform == "log":
        return np.asarray(np.log(values))
    if transform == "logit":
        share = np.clip(values, ODDS, 1 - ODDS)
        return np.asarray(np.log(share / (1 - share)))
    return values


def backward(level: Floats, spread: Floats, transform: Transform) -> tuple[Floats, Floats]:
    """Return level and spread (k,) in the signal's unit; the spread to first order."""
    if transform == "log":
        unit = np.exp(level)
        return unit, unit * spread
    if transform == "logit":
        unit = 1 / (1 + np.exp(-level))
        return unit, unit * (1 - unit) * spread
    return level, spread
