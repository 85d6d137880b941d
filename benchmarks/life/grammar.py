"""Grammar of signals: the choices that make a kind, drawn at random from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Observable(StrEnum):
    """Quantity that a signal shows."""

    LATENCY = "latency"  # seconds, positive
    SCORE = "score"  # in [0, 1]
    ERRORS = "errors"  # counters of errors and requests
    VALUE = "value"  # any unit, either sign


class Noise(StrEnum):
    """Noise around the level of a latency, score or value."""

    GAUSSIAN = "gaussian"
    AUTOREGRESSIVE = "AR(1)"
    HEAVY = "Student t"
    WANDERING = "random walk"
    ZEROS = "zeros"  # a share of the samples is 0


class Counts(StrEnum):
    """Distribution of requests and errors in a minute."""

    BINOMIAL = "binomial"
    DISPERSED = "over-dispersed"
    BURSTY = "bursts"


class Life(StrEnum):
    """Course of a model's life."""

    LONG = "long"
    DAY = "one day"
    CANARY = "canary"
    DEPLOYED = "deployments"  # the level changes for good
    NIGHTLY = "nightly job"
    REGIMES = "regimes"


class Shape(StrEnum):
    """Shape of a planted change."""

    NONE = "none"
    STEP = "step"
    RAMP = "ramp"
    SPIKE = "spike"
    BURST = "burst"  # three spikes
    DIP = "dip"
    VARIANCE = "variance"
    DECAY = "slow decay"


class Moment(StrEnum):
    """Moment of a planted change."""

    FIRST_DAY = "first day"
    LATER = "later"
    SOON_AFTER = "soon after another"
    AFTER_LARGER = "after a larger one"
    TWICE = "twice"


@dataclass(frozen=True, slots=True)
class Season:
    """Daily and weekly waves, in units of the logarithm of the level (or of its noise, or of the odds of an error).

    holidays: True if single days look like Sundays.
    of_noise: share of the daily wave that the noise follows too.
    """

    daily: float = 0.0
    weekly: float = 0.0
    holidays: bool = False
    of_noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Scrapes and the counters behind them. All times in minutes.

    every: between scrapes. step: between two updates of a counter. gaps: share of scrapes that are missing, in runs.
    jitter: largest delay of a scrape. resets: expected resets of a counter in a week.
    """

    every: int = 1
    step: int = 1
    gaps: float = 0.0
    jitter: float = 0.0
    resets: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """Planted change. size: factor of the level (of the odds, for errors). hours: its length."""

    shape: Shape
    moment: Moment
    size: float
    hours: float


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of signal.

    spread: standard deviation of the noise, in units of the logarithm (latency) or of the value.
    phi: lag-one correlation of AUTOREGRESSIVE noise. tails: degrees of freedom of HEAVY noise.
    traffic: requests in a minute. share: usual share of errors.
    """

    number: int
    observable: Observable
    season: Season
    noise: Noise
    counts: Counts
    sampling: Sampling
    life: Life
    change: Change
    spread: float
    phi: float
    tails: int
    traffic: float
    share: float

    @property
    def admissible(self) -> int:
        """Number of requests beside the planted changes that are no false alarm: one for each change for good."""
        return {Life.DEPLOYED: 2, Life.REGIMES: 2}.get(self.life, 0)

    def describe(self) -> str:
        """Return the kind in one line."""
        noise = self.counts.value if self.observable is Observable.ERRORS else self.noise.value
        season = f"daily {self.season.daily:.2f}, weekly {self.season.weekly:.2f}"
        season += ", holidays" if self.season.holidays else ""
        change = (
            f"{self.change.shape.value} x{self.change.size:g} for {self.change.hours:g} h, {self.change.moment.value}"
        )
        return f"{self.observable.value}; {season}; {noise}; {self.life.value}; {change}"


SHAPES = tuple(shape for shape in Shape if shape is not Shape.NONE)
SHORT_LIVES = frozenset({Life.DAY, Life.CANARY})


def draw(seed: int, count: int) -> list[Kind]:
    """Return `count` kinds drawn with `seed`. A third of them have no change: they count false alarms."""
    rng = np.random.default_rng(seed)
    return [_kind(rng, number, list(Observable)[number % len(Observable)]) for number in range(count)]


def _kind(rng: np.random.Generator, number: int, observable: Observable) -> Kind:
    life = Life(rng.choice([life.value for life in Life], p=[0.4, 0.1, 0.1, 0.15, 0.1, 0.15]))
    return Kind(
        number,
        observable,
        _season(rng),
        Noise(rng.choice([noise.value for noise in Noise])),
        Counts(rng.choice([counts.value for counts in Counts])),
        _sampling(rng, observable),
        life,
        _change(rng, observable, life, quiet=number % 3 == 0),
        spread=float(rng.choice([0.03, 0.1, 0.3])),
        phi=float(rng.choice([0.5, 0.9, 0.98])),
        tails=int(rng.choice([3, 5])),
        traffic=float(rng.choice([2, 30, 500])),
        share=float(rng.choice([0.002, 0.01, 0.05])),
    )


def _season(rng: np.random.Generator) -> Season:
    if rng.random() < 0.25:
        return Season()
    return Season(
        daily=float(rng.choice([0.1, 0.3, 0.7])),
        weekly=float(rng.choice([0.0, 0.1, 0.4])),
        holidays=bool(rng.random() < 0.2),
        of_noise=float(rng.choice([0.0, 0.5])),
    )


def _sampling(rng: np.random.Generator, observable: Observable) -> Sampling:
    step = int(rng.choice([1, 60, 1440], p=[0.7, 0.2, 0.1])) if observable is Observable.ERRORS else 1
    return Sampling(
        every=int(rng.choice([1, 5])),
        step=step,
        gaps=float(rng.choice([0.0, 0.02, 0.1])),
        jitter=float(rng.choice([0.0, 0.4])),
        resets=float(rng.choice([0.0, 1.0, 7.0])),
    )


def _change(rng: np.random.Generator, observable: Observable, life: Life, *, quiet: bool) -> Change:
    if quiet:
        return Change(Shape.NONE, Moment.LATER, 1.0, 0.0)
    moments = [Moment.FIRST_DAY] if life in SHORT_LIVES else list(Moment)
    shape = SHAPES[rng.integers(len(SHAPES))]
    if observable is Observable.ERRORS and shape is Shape.VARIANCE:  # a share has no variance of its own
        shape = Shape.STEP
    hours = {Shape.SPIKE: 0.5, Shape.BURST: 0.5, Shape.DECAY: 120.0}.get(shape, float(rng.choice([2.0, 12.0, 48.0])))
    if life in SHORT_LIVES:
        hours = min(hours, 6.0)
    size = float(rng.choice([1.2, 1.5, 2.0, 4.0]))
    return Change(shape, moments[rng.integers(len(moments))], size, hours)
