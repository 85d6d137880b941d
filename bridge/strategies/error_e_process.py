"""`error_e_process`: sequential test of an error rate, with one bound on false alarms over all evaluations."""

from __future__ import annotations

from functools import cache
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from bridge.domain.batch import ERRORS, TOTAL, EventBatch
from bridge.domain.times import Timestamp, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn
from bridge.strategies.stats.counts import Bools, CountingConfig, Counts, DurationText, counts, take_due

DROP = 32.0  # integrands smaller than the maximum by this much, in logarithms, are left out of an integral
CHUNK = 1024  # rows integrated together, so that they fit into the CPU cache
PARTS = np.array([1, 8, 64])  # a round is tested as a whole and in so many parts, each with a share of the stake:
STAKE = np.array([0.8, 0.1, 0.1]) / PARTS  # stake of one part; the stakes of all parts sum to 1
SLACK = 1e-6  # tolerance for float sums that should be whole numbers
MANY = 1e9  # stronger evidence is shown as "more than"
HIGHEST = 690.0  # exp() of more is not a float


class ErrorEProcessConfig(CountingConfig):
    """Parameters of `error_e_process: {p0: 0.01}`.

    - `p0`: highest acceptable error rate
    - `alpha`: bound on the probability that one round of the test raises a false alarm
    - `prior_b`: parameter b of the Beta(1, b) prior of the error rate
    - `restart`: maximum length of a round, after which the test starts from zero
    """

    p0: float = Field(gt=0, lt=1)
    alpha: float = Field(default=0.01, gt=0, lt=1)
    prior_b: float | None = Field(default=None, ge=1)
    restart: DurationText = "1d"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if parse_duration(self.restart) <= parse_duration(self.window):
            raise ValueError(f"restart ({self.restart}) must be longer than window ({self.window})")
        return self


class ErrorEProcessStrategy(RetrainStrategy):
    """Strategy that is breached once there is strong evidence that the error rate exceeds an acceptable level.

    When to use: if you know the acceptable error rate, and false alarms must stay rare however often you evaluate. A
    round and its parts are tested by mixtures of likelihood ratios whose weighted mean is an e-process: of all rounds
    whose error rate is at most p0, at most a share alpha ever raises an alarm.
    Sources: Ville, Etude critique de la notion de collectif, 1939; Robbins, Ann. Math. Statist. 41 (1970);
    Ramdas, Grunwald, Vovk, Shafer, Statistical Science 38 (2023).
    """

    name = "error_e_process"
    Config = ErrorEProcessConfig
    needs = frozenset({ERRORS, TOTAL})
    gives_p = True
    state_dtype = np.dtype([
        ("next", np.int64), ("began", np.int64), ("part", np.int64, (3,)), ("errors", np.float64, (3,)),
        ("total", np.float64, (3,)), ("banked", np.float64), ("evidence", np.float64), ("needed", np.float64),
        ("fired", np.bool_),
    ])  # fmt: skip

    def __init__(self, config: ErrorEProcessConfig) -> None:
        self._config = config
        self._prior = config.prior_b or max(1.0, 0.3 / config.p0)
        self._window, self._restart = parse_duration(config.window), parse_duration(config.restart)

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        """Add the samples that are due to their rounds, and compare the evidence with 1 / alpha."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        sample = counts(batch, self._config)
        fraction = (sample.total > 0) & (sample.total < 1 - SLACK)  # not a number of requests, probably a rate
        self._count(sample, ~fraction, memory, batch.slot)
        fired = memory["fired"]
        known = fired | (memory["total"][:, 0] > 0)
        code = np.where(fired, np.int8(Code.BREACHED), np.int8(Code.OK))
        evidence, needed = np.maximum(memory["evidence"], 1.0), np.full(len(code), 1 / self._config.alpha)
        verdicts = Verdicts(code, np.zeros(len(code), np.int8), evidence, needed, p=1 / evidence)
        for doubtful, cause in ((fraction | ~known, Cause.INSUFFICIENT), (~sample.usable, Cause.NAN)):
            verdicts.code[doubtful], verdicts.cause[doubtful] = Code.INCONCLUSIVE, cause
        return verdicts

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return the acceptable error rate and the strength of the evidence against it."""
        odds, needed = float(verdicts.statistic[position]), float(verdicts.threshold[position])
        strong = f"{odds:,.0f}" if odds < MANY else f"more than {MANY:,.0f}"
        return (
            f"signal {batch.name!r}: more than {100 * self._config.p0:.4g} % of inferences fail;"
            f" evidence {strong} to 1 (required: {needed:,.4g} to 1)"
        )

    def _count(self, sample: Counts, whole: Bools, memory: StateColumn, slot: Timestamp) -> None:
        """Restart rounds that are over, add the samples that are due, and update the evidence."""
        due = np.flatnonzero(take_due(memory["next"], sample.some & whole, slot, self._window))
        mine = memory[due]
        self._end_rounds(mine, slot)
        self._end_parts(mine, slot)
        # Prometheus extrapolates upwards; rounding errors down and requests up is conservative.
        mine["errors"] += np.floor(sample.errors[due] + SLACK)[:, None]
        mine["total"] += np.ceil(sample.total[due] - SLACK)[:, None]
        self._decide(mine)
        memory[due] = mine

    def _end_rounds(self, mine: StateColumn, slot: Timestamp) -> None:
        errors, total = mine["errors"][:, 0], mine["total"][:, 0]
        over = (total > 0) & (slot - mine["began"] >= self._restart)
        mine["fired"] &= ~(over & (errors <= self._config.p0 * total))
        _restart(mine, over)
        mine["began"][mine["total"][:, 0] == 0] = slot

    def _end_parts(self, mine: StateColumn, slot: Timestamp) -> None:
        """Bank the wealth of parts that are over; parts without a sample keep their stake."""
        part = (slot - mine["began"])[:, None] * PARTS // self._restart
        which = np.flatnonzero((part > mine["part"]).any(axis=1))
        ended = part[which] - mine["part"][which]
        wealth = STAKE * (self._growth(mine[which]) + ended - 1)
        mine["banked"][which] += np.where(ended > 0, wealth, 0.0).sum(axis=1)
        mine["part"] = part
        for field in ("errors", "total"):
            mine[field][which] *= ended == 0

    def _growth(self, mine: StateColumn) -> Floats:
        """Return the factor (k, 3) by which the stake of each current part has grown."""
        errors, total = mine["errors"].ravel(), mine["total"].ravel()
        log = log_evidence(errors, total, self._config.p0, self._prior)
        growth = np.where(total > 0, np.exp(np.minimum(log, HIGHEST)), 1.0)
        return np.asarray(growth.reshape(-1, len(PARTS)))

    def _decide(self, mine: StateColumn) -> None:
        """Fire on sufficient evidence and restart the round; resolve after as many requests at an acceptable rate."""
        errors, total = mine["errors"][:, 0], mine["total"][:, 0]
        wealth = STAKE * self._growth(mine)
        evidence = mine["banked"] + (wealth + STAKE * (PARTS - 1 - mine["part"])).sum(axis=1)
        proven = evidence >= 1 / self._config.alpha
        mine["fired"] &= ~((total >= mine["needed"]) & (errors <= self._config.p0 * total))
        mine["fired"] |= proven
        shown = proven | ~mine["fired"]
        mine["evidence"][shown] = evidence[shown]
        strongest = wealth[proven].argmax(axis=1)
        mine["needed"][proven] = mine["total"][proven, strongest]
        _restart(mine, proven)


def _restart(mine: StateColumn, which: Bools) -> None:
    for field in ("errors", "total", "part", "banked"):
        mine[field][which] = 0


def log_evidence(errors: Floats, total: Floats, p0: float, b: float) -> Floats:
    """Return the logarithm of the mean likelihood ratio of p against p0, p from Beta(1, b) truncated to (p0, 1); (k,).

    Minus infinity where at most p0 of the requests failed: every ratio is at most 1 there, and the mean is not needed.
    """
    evidence = np.full(len(errors), -np.inf)
    which = np.flatnonzero(errors > p0 * total)
    for start in range(0, len(which), CHUNK):
        rows = which[start : start + CHUNK]
        integral = _integral(errors[rows], total[rows] - errors[rows] + b - 1, p0)
        evidence[rows] = integral + np.log(b / (1 - p0))
    return evidence


def _integral(failed: Floats, good: Floats, p0: float) -> Floats:
    """Return log of the integral of (p / p0)^failed ((1 - p) / (1 - p0))^good from p0 to 1, by Gauss-Legendre."""
    low, high = _interval(failed, good, p0)
    half = (high - low) / 2
    points, weights = _quadrature()
    nodes = low[:, None] + half[:, None] * (points + 1)
    ratio = failed[:, None] * np.log(nodes / p0) + good[:, None] * np.log((1 - nodes) / (1 - p0))
    top = ratio.max(axis=1)
    # Sum each row on its own: the result of a matrix product depends on the number of rows.
    inside = (np.exp(ratio - top[:, None]) * weights).sum(axis=1) * half
    return np.asarray(np.log(inside) + top)


@cache
def _quadrature() -> tuple[Floats, Floats]:
    """Return the nodes on (-1, 1) and the weights of the Gauss-Legendre rule; computed on first use."""
    return np.polynomial.legendre.leggauss(48)


def _interval(failed: Floats, good: Floats, p0: float) -> tuple[Floats, Floats]:
    """Return an interval that covers where p^failed (1 - p)^good is within exp(-DROP) of its maximum on (p0, 1).

    Uses the lower bounds (q - m)^2 / 2 max(q, m) and (q - m)^2 / 2 max(1 - q, 1 - m) of the divergence of m from q.
    """
    size = failed + good
    peak, step = np.maximum(failed / size, p0), DROP / size
    narrow, wide = np.sqrt(2 * peak * step), np.sqrt(2 * (1 - peak) * step)
    above = np.minimum(step + np.sqrt(step * step + narrow * narrow), wide)
    below = np.minimum(step + np.sqrt(step * step + wide * wide), narrow)
    return np.maximum(peak - below, p0), np.minimum(peak + above, 1.0)
