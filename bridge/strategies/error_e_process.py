"""Whether more requests fail than may, tested at every look, with one bound on false alarms for all looks together."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from bridge.domain.batch import ERRORS, TOTAL, EventBatch
from bridge.domain.times import Timestamp, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, signal_word
from bridge.strategies.stats.counts import Bools, CountingConfig, Counts, Span, counts, take_due

DROP = 32.0  # of a logarithm: what is smaller by so much than the greatest is left out of an integral
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
CHUNK = 1024  # rows of an integral at once: they stay in the cache
PARTS = np.array([1, 8, 64])  # a run is also looked at in so many parts, each with a share of the stake:
STAKE = np.array([0.8, 0.1, 0.1]) / PARTS  # of one part, so that all parts of all lengths share 1
SLACK = 1e-6  # of a sum of floats that is a whole number
MANY = 1e9  # to 1: evidence of which nobody wants to know how many digits it has
HIGHEST = 690.0  # exp() of more is not a float


class ErrorEProcessConfig(CountingConfig):
    """`error_e_process: {p0: 0.01}`; p0: the error rate that may not be exceeded; alpha: of a run, ever."""

    p0: float = Field(gt=0, lt=1)
    alpha: float = Field(default=0.01, gt=0, lt=1)
    prior_b: float | None = Field(default=None, ge=1)
    restart: Span = "1d"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if parse_duration(self.restart) <= parse_duration(self.window):
            raise ValueError(f"restart ({self.restart}) must be longer than window ({self.window})")
        return self


class ErrorEProcessStrategy(RetrainStrategy):
    """Breached once the evidence is strong that more than a known share of the requests fails.

    When to use: the share that may fail is known, and false alarms must be rare however often one looks. Errors among
    the requests of one run, and of parts of it, are tested by mixtures of likelihood ratios whose weighted mean is an
    e-process: of runs whose error rate is at most p0, at most the share alpha ever says otherwise.
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
        """Add the samples that are due to their runs, and compare the evidence with 1 / alpha."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        sample = counts(batch, self._config)
        fraction = (sample.total > 0) & (sample.total < 1 - SLACK)  # not a number of requests: a rate, most likely
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
        """The share, and how strong the evidence is."""
        odds, needed = float(verdicts.statistic[position]), float(verdicts.threshold[position])
        strong = f"{odds:,.0f}" if odds < MANY else f"more than {MANY:,.0f}"
        return (
            f"{signal_word(batch)}: more than {100 * self._config.p0:.4g} % of the requests fail,"
            f" by evidence of {strong} to 1 (needed: {needed:,.4g} to 1)"
        )

    def _count(self, sample: Counts, whole: Bools, memory: StateColumn, slot: Timestamp) -> None:
        """Runs that are over begin anew; samples that are due are added, and what they prove is noted."""
        due = np.flatnonzero(take_due(memory["next"], sample.some & whole, slot, self._window))
        mine = memory[due]
        self._end_runs(mine, slot)
        self._end_parts(mine, slot)
        # Prometheus extrapolates upwards; rounded so, that a doubt never speaks for an alarm.
        mine["errors"] += np.floor(sample.errors[due] + SLACK)[:, None]
        mine["total"] += np.ceil(sample.total[due] - SLACK)[:, None]
        self._decide(mine)
        memory[due] = mine

    def _end_runs(self, mine: StateColumn, slot: Timestamp) -> None:
        errors, total = mine["errors"][:, 0], mine["total"][:, 0]
        over = (total > 0) & (slot - mine["began"] >= self._restart)
        mine["fired"] &= ~(over & (errors <= self._config.p0 * total))
        _begin_anew(mine, over)
        mine["began"][mine["total"][:, 0] == 0] = slot

    def _end_parts(self, mine: StateColumn, slot: Timestamp) -> None:
        """Bank what parts that are over have won; parts without a sample keep their stake."""
        part = (slot - mine["began"])[:, None] * PARTS // self._restart
        which = np.flatnonzero((part > mine["part"]).any(axis=1))
        gone = part[which] - mine["part"][which]
        won = STAKE * (self._won(mine[which]) + gone - 1)
        mine["banked"][which] += np.where(gone > 0, won, 0.0).sum(axis=1)
        mine["part"] = part
        for field in ("errors", "total"):
            mine[field][which] *= gone == 0

    def _won(self, mine: StateColumn) -> Floats:
        """(k, 3) by what factor the stake of each current part has grown."""
        errors, total = mine["errors"].ravel(), mine["total"].ravel()
        log = log_evidence(errors, total, self._config.p0, self._prior)
        won = np.where(total > 0, np.exp(np.minimum(log, HIGHEST)), 1.0)
        return np.asarray(won.reshape(-1, len(PARTS)))

    def _decide(self, mine: StateColumn) -> None:
        """A proof fires and ends its run; as many requests as its part had, with few enough errors, take it back."""
        errors, total = mine["errors"][:, 0], mine["total"][:, 0]
        won = STAKE * self._won(mine)
        evidence = mine["banked"] + (won + STAKE * (PARTS - 1 - mine["part"])).sum(axis=1)
        proven = evidence >= 1 / self._config.alpha
        mine["fired"] &= ~((total >= mine["needed"]) & (errors <= self._config.p0 * total))
        mine["fired"] |= proven
        shown = proven | ~mine["fired"]
        mine["evidence"][shown] = evidence[shown]
        strongest = won[proven].argmax(axis=1)
        mine["needed"][proven] = mine["total"][proven, strongest]
        _begin_anew(mine, proven)


def _begin_anew(mine: StateColumn, which: Bools) -> None:
    for field in ("errors", "total", "part", "banked"):
        mine[field][which] = 0


def log_evidence(errors: Floats, total: Floats, p0: float, b: float) -> Floats:
    """Logarithm of the mean likelihood ratio of p against p0, p from Beta(1, b) cut to (p0, 1). All (k,).

    Where no more than p0 of the requests failed every such ratio is at most 1, and minus infinity is given: the mean
    is not computed where it speaks for nothing.
    """
    evidence = np.full(len(errors), -np.inf)
    which = np.flatnonzero(errors > p0 * total)
    for start in range(0, len(which), CHUNK):
        some = which[start : start + CHUNK]
        integral = _integral(errors[some], total[some] - errors[some] + b - 1, p0)
        evidence[some] = integral + np.log(b / (1 - p0))
    return evidence


def _integral(failed: Floats, good: Floats, p0: float) -> Floats:
    """Logarithm of the integral of (p / p0)^failed ((1 - p) / (1 - p0))^good from p0 to 1, by Gauss-Legendre."""
    low, high = _interval(failed, good, p0)
    half = (high - low) / 2
    nodes = low[:, None] + half[:, None] * (NODES + 1)
    ratio = failed[:, None] * np.log(nodes / p0) + good[:, None] * np.log((1 - nodes) / (1 - p0))
    top = ratio.max(axis=1)
    # A sum of each row by itself: what a product of matrices gives depends on how many rows there are.
    inside = (np.exp(ratio - top[:, None]) * WEIGHTS).sum(axis=1) * half
    return np.asarray(np.log(inside) + top)


def _interval(failed: Floats, good: Floats, p0: float) -> tuple[Floats, Floats]:
    """Where p^failed (1 - p)^good is within exp(-DROP) of its greatest value on (p0, 1), or a little more.

    From the bounds (q - m)^2 / 2 max(q, m) and (q - m)^2 / 2 max(1 - q, 1 - m) below the divergence of m from q.
    """
    size = failed + good
    peak, step = np.maximum(failed / size, p0), DROP / size
    narrow, wide = np.sqrt(2 * peak * step), np.sqrt(2 * (1 - peak) * step)
    above = np.minimum(step + np.sqrt(step * step + narrow * narrow), wide)
    below = np.minimum(step + np.sqrt(step * step + wide * wide), narrow)
    return np.maximum(peak - below, p0), np.minimum(peak + above, 1.0)
