"""A signal as a detector wants it: how far from what is usual, in units of its own noise, one look free of the last.

    transform -> minus reference -> AR(1) pre-whitening -> / robust scale -> clip

Detectors nest the state of a `Standardiser` in their own `state_dtype` and hand it in, for all models at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, field_validator, model_validator

from bridge.domain.batch import EventKind
from bridge.domain.times import HOUR, Duration, Timestamp, format_duration, parse_duration
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn, StrategyConfig
from bridge.strategies.stats.ar1_noise import FEW, HUBER, LEAST, TINY, Look, Noise, Now
from bridge.strategies.stats.counts import Span
from bridge.strategies.stats.seasonal_profile import SLOTS, Season

Bools = NDArray[np.bool_]
Transform = Literal["none", "log", "logit"]
ODDS = 1e-4  # a share nearer to 0 or 1 is taken for this one: its logit would be infinite
BETWEEN = 1.5  # hours of samples are behind a level that is drawn between two hours, on average
NAMES = ("first", "level", *Noise.names)
_BY_KIND: dict[EventKind, Transform] = {
    EventKind.LATENCY: "log", EventKind.DRIFT: "logit", EventKind.INFERENCE_ERROR: "logit", EventKind.CUSTOM: "none",
}  # fmt: skip


def _any_span(text: str) -> str:
    return format_duration(parse_duration(text))


class StandardiseConfig(StrategyConfig):
    """`standardise: {reference: seasonal}`.

    transform: None = by the event: latency log, drift and error rate logit, custom none. level, spread: of a fixed
    reference, in the signal's unit. floor: least spread, as a share of the level. warm_up: how long is learnt before
    anything is said. window: how long a version is learnt; memory of a sliding level, and of the noise around a sliding
    or seasonal one. history: how far back to look at a cold start; None = what the reference needs.
    """

    transform: Transform | None = None
    reference: Literal["version", "fixed", "sliding", "seasonal"] = "seasonal"
    season: Literal["day", "week"] = "week"
    time_zone: str = "UTC"
    warm_up: Span = "1d"
    window: Span = "7d"
    level: float | None = None
    spread: float | None = Field(default=None, gt=0)
    floor: float = Field(default=0.01, ge=0)
    whiten: bool = True
    clip: float = Field(default=4.0, gt=0)
    history: Annotated[str, AfterValidator(_any_span)] | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"unknown time zone {name!r}; write it as in the IANA list, such as Europe/Berlin"
            ) from None
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.reference != "fixed" and (self.level is not None or self.spread is not None):
            raise ValueError("level and spread are for reference fixed")
        if self.reference == "fixed" and (self.level is None or self.spread is None):
            raise ValueError("reference fixed goes with level and spread, both in the signal's unit")
        if self.transform == "log" and self.level is not None and self.level <= 0:
            raise ValueError("level must be above 0 for transform log")
        if self.transform == "logit" and self.level is not None and not 0 < self.level < 1:
            raise ValueError("level must be between 0 and 1 for transform logit")
        return self


class Doubt(NamedTuple):
    """How far z may be off because the reference is an estimate, and what whitening costs; (k,), or (1,) for all.

    error: standard deviation of that bias. lasts: for how many samples it is the same one; 0 where there is none.
    phi: the AR(1) coefficient; of a lasting shift by one sigma, z shows sqrt((1 - phi) / (1 + phi)).
    """

    error: Floats
    lasts: Floats
    phi: Floats

    def of(self, which: NDArray[np.int64]) -> Doubt:
        """That of some."""
        return Doubt(*(column[which] for column in self))


NO_DOUBT = Doubt(np.zeros(1), np.zeros(1), np.zeros(1))


@dataclass(frozen=True, slots=True)
class Standardised:
    """Standardised values (k,) of a batch.

    z: clipped, pre-whitened; NaN where not `ready` or the value is missing. ready: reference and noise are known.
    level, spread: the reference and the robust sigma around it, in the signal's unit (NaN where not known).
    deviation: how many robust sigmas the value is from the level; neither clipped nor pre-whitened. doubt: of z.
    """

    z: Floats
    ready: Bools
    level: Floats
    spread: Floats
    deviation: Floats
    doubt: Doubt


class Standardiser:
    """Standardises the values of models, and learns what is usual for them.

    dtype: of the state of a model; zero = never seen. history: ms before a cold start that it wants to see, 0 = none.
    """

    def __init__(self, config: StandardiseConfig) -> None:
        self._config = config
        self._warm_up, self._window = parse_duration(config.warm_up), parse_duration(config.window)
        self._noise = Noise(whiten=config.whiten)
        self._season: Season | None = None
        fields: list[Any] = [("now", np.float64, (len(NAMES),))]  # instants, too: ms since the epoch are exact
        if config.reference == "seasonal":
            self._season = Season(SLOTS[config.season], config.time_zone)
            fields += self._season.fields
        self.dtype = np.dtype(fields)
        self.history = self._default_history() if config.history is None else parse_duration(config.history)

    def step(
        self, values: Floats, slot: Timestamp, state: StateColumn, freeze: Bools, kind: EventKind = EventKind.CUSTOM
    ) -> Standardised:
        """Standardise values (k,) of `slot`, and let state (k,) learn from them in place.

        freeze: (k,) models whose reference and noise stay as they are, because their alarm is on. A missing value
        changes nothing. kind: of the event, for the default transform.
        """
        transform = self._config.transform or _BY_KIND[kind]
        columns = np.ascontiguousarray(state["now"].T)
        now: Now = dict(zip(NAMES, columns, strict=True))
        with np.errstate(all="ignore"):  # logarithms of 0, and infinite values: they are never learnt from
            found = self._step(forward(values, transform), slot, state, now, freeze, transform)
        for place, name in enumerate(NAMES):
            columns[place] = now[name]
        state["now"] = columns.T
        return found

    def _step(
        self, numbers: Floats, slot: Timestamp, state: StateColumn, now: Now, freeze: Bools, transform: Transform
    ) -> Standardised:
        level, least = self._level(numbers, slot, state, now, transform)
        residual = numbers - level
        look = self._noise.look(residual, slot, now, least)
        if self._config.spread is not None:
            look = self._of_fixed_spread(look, transform)
        usual = look
        if self._season is not None:
            look = look.wider(self._season.noise(slot, state))
        ready = self._ready(slot, now) & ~np.isnan(level)
        usable, doubt = ~np.isnan(numbers), self._doubt(look, slot, state, now)
        learns = usable & ~freeze & np.isfinite(numbers)
        if self._season is not None:
            sure = learns & (now["count"] >= LEAST) & ~np.isnan(level)
            self._season.learn_noise(slot, state, usual.innovation / usual.width, sure)
        self._learn(numbers, level, usual, slot, state, now, learns)
        self._noise.remember(look, residual, slot, now, usable & ~np.isnan(level))
        clip = self._config.clip
        z = np.minimum(np.maximum(look.innovation / look.width, -clip), clip)
        z[~ready] = np.nan
        unit, spread = backward(level, look.spread, transform)
        return Standardised(z, ready, unit, spread, residual / look.spread, doubt)

    def _default_history(self) -> Duration:
        match self._config.reference:
            case "seasonal":  # one season to know the levels, and another for the noise around them
                return 2 * SLOTS[self._config.season] * HOUR
            case "sliding" | "version":
                return max(self._window, self._warm_up)
        return self._warm_up if self._config.whiten else 0

    def _level(
        self, numbers: Floats, slot: Timestamp, state: StateColumn, now: Now, transform: Transform
    ) -> tuple[Floats, Floats]:
        """(k,) the reference, NaN where it is not known, and the smallest spread around it."""
        if self._config.level is not None:
            level = np.full(len(numbers), float(forward(np.array([self._config.level]), transform)[0]))
        elif self._season is not None:
            level = self._season.reference(slot, state)
        else:
            level = np.where(now["last"] > 0, now["level"], np.where(np.isfinite(numbers), numbers, np.nan))
        share = np.abs(level) if transform == "none" else 1.0
        return level, np.maximum(self._config.floor * share, TINY)

    def _doubt(self, look: Look, slot: Timestamp, state: StateColumn, now: Now) -> Doubt:
        """The mean of n samples leaves a bias of about 1 / sqrt(n) in z, however correlated they are."""
        if self._config.level is not None:
            return Doubt(np.zeros(len(state)), np.zeros(len(state)), look.phi)
        step = np.maximum(now["step"], 1)
        if self._season is not None:
            lasts = HOUR / step
            behind = BETWEEN * lasts * self._season.seen(slot, state)
        else:
            lasts = np.full(len(state), np.inf)
            behind = now["count"] + 1
            if self._config.reference == "sliding":
                behind = np.minimum(behind, 2 * self._window / step)
        most = np.sqrt((1 - look.phi) / (1 + look.phi))  # a level is not further off than one sigma
        return Doubt(np.minimum(1 / np.sqrt(np.maximum(behind, 1)), most), lasts, look.phi)

    def _of_fixed_spread(self, look: Look, transform: Transform) -> Look:
        level, spread = np.array([self._config.level]), np.array([self._config.spread])
        slope = float(backward(forward(level, transform), np.ones(1), transform)[1][0])
        sigma = np.full(len(look.spread), float(spread[0]) / slope)
        return look._replace(spread=sigma, width=sigma * np.sqrt(1 - look.carried**2))

    def _ready(self, slot: Timestamp, now: Now) -> Bools:
        if self._config.level is not None and not self._config.whiten:
            return np.ones(len(now["count"]), np.bool_)
        return np.asarray((now["count"] >= LEAST) & (slot - now["first"] >= self._warm_up))

    def _learn(
        self, numbers: Floats, level: Floats, look: Look, slot: Timestamp, state: StateColumn, now: Now, which: Bools
    ) -> None:
        """Where `which`: the noise, and the level unless it is fixed; of a version, nothing after its first `window`.

        Otherwise a slow drift would widen the noise, and hide itself.
        """
        residual, known = numbers - level, which & ~np.isnan(level)
        if self._config.reference in {"version", "fixed"}:
            known &= (now["first"] == 0) | (slot - now["first"] < max(self._window, self._warm_up))
        bound = np.where(now["count"] >= FEW, HUBER * look.spread, np.inf)
        tame = np.where(known, np.minimum(np.maximum(residual, -bound), bound), 0.0)
        if self._season is not None:
            self._season.add(slot, state, np.where(known, level + tame, numbers), which)
        elif self._config.level is None:
            now["level"] = np.where(known, level + self._level_gain(look, now) * tame, now["level"])
        now["first"] = np.where(known & (now["first"] == 0), slot, now["first"])
        self._noise.learn(look, residual, now, known, self._window)

    def _level_gain(self, look: Look, now: Now) -> Floats:
        """(k,) the weight of the newest sample in the level."""
        alike = 1 / (now["count"] + 2)
        if self._config.reference == "version":
            return alike
        return np.minimum(np.maximum(alike, look.passed / self._window), 1.0)


def forward(values: Floats, transform: Transform) -> Floats:
    """Values (k,) as the reference is kept: as they are, or their logarithm, or the logarithm of their odds."""
    if transform == "log":
        return np.asarray(np.log(values))
    if transform == "logit":
        share = np.clip(values, ODDS, 1 - ODDS)
        return np.asarray(np.log(share / (1 - share)))
    return values


def backward(level: Floats, spread: Floats, transform: Transform) -> tuple[Floats, Floats]:
    """Level and spread (k,) in the signal's unit; the spread to first order."""
    if transform == "log":
        unit = np.exp(level)
        return unit, unit * spread
    if transform == "logit":
        unit = 1 / (1 + np.exp(-level))
        return unit, unit * (1 - unit) * spread
    return level, spread
