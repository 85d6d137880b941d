"""What makes a verdict of a strategy's one: evidence that is too thin, too old, or of a model that is too new."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import COUNT, UPDATED, EventBatch
from bridge.domain.discovery import discoveries
from bridge.domain.rule import Rule, SignalQuery
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, guarded

FirstSeen = NDArray[np.int64]
Bools = NDArray[np.bool_]


def judge(
    strategy: RetrainStrategy | None, batch: EventBatch, state: StateColumn | None, rule: Rule, query: SignalQuery,
    first_seen: FirstSeen,
) -> Verdicts:  # fmt: skip
    """Verdicts (k,) over a batch: the strategy's, where its numbers are many, fresh and old enough to be judged.

    strategy None: being in the answer is the breach. state: (k,) of the batch's models, changed in place.
    first_seen: (k,) when each model was first seen, 0 = never before; read for a warm-up only. Raises StrategyError.
    """
    if batch.cause is not Cause.NONE:
        return Verdicts.inconclusive(len(batch), batch.cause)
    if strategy is None:
        nan = np.full(len(batch), np.nan)
        breached = np.full(len(batch), Code.BREACHED, np.int8)
        return Verdicts(breached, np.zeros(len(batch), np.int8), batch.values(), nan)
    stale, few = _stale(batch, query), _few(batch, rule)
    verdicts = _asked(strategy, batch, state, stale | few)
    _withdraw(verdicts, stale, Cause.STALE)
    _withdraw(verdicts, few, Cause.INSUFFICIENT)
    if rule.warm_up:
        young = (first_seen == 0) | (batch.slot - first_seen < rule.warm_up)
        _withdraw(verdicts, young, Cause.WARMING_UP)
    if rule.fdr:
        _hold_back(verdicts, rule.fdr)
    return verdicts


def learn(strategy: RetrainStrategy, batch: EventBatch, state: StateColumn, rule: Rule, query: SignalQuery) -> None:
    """Let a strategy see numbers of the past, as `judge` does, without a verdict. Raises StrategyError."""
    _asked(strategy, batch, state, _stale(batch, query) | _few(batch, rule))


def _asked(strategy: RetrainStrategy, batch: EventBatch, state: StateColumn | None, doubtful: Bools) -> Verdicts:
    """The strategy's verdicts; of doubtful numbers it remembers nothing."""
    if state is None or not doubtful.any():
        return guarded(strategy, batch, state)
    before = state[doubtful]
    verdicts = guarded(strategy, batch, state)
    state[doubtful] = before
    return verdicts


def _stale(batch: EventBatch, query: SignalQuery) -> Bools:
    if not query.stale_after:
        return np.zeros(len(batch), np.bool_)
    age = batch.slot - batch.column(UPDATED) * 1000
    return ~(age < query.stale_after)


def _few(batch: EventBatch, rule: Rule) -> Bools:
    return ~(batch.column(COUNT) >= rule.n_min) if rule.n_min else np.zeros(len(batch), np.bool_)


def _hold_back(verdicts: Verdicts, rate: float) -> None:
    """Breaches that may be chance, among so many models, start nothing; one that fires already goes on."""
    tested = np.flatnonzero(verdicts.code != Code.INCONCLUSIVE)
    p = np.full(len(tested), np.nan) if verdicts.p is None else verdicts.p[tested]
    doubted = tested[~discoveries(p, rate)]
    verdicts.code[doubted[verdicts.code[doubted] == Code.BREACHED]] = Code.BAND


def _withdraw(verdicts: Verdicts, doubtful: Bools, cause: Cause) -> None:
    """Take back what was said of doubtful elements; one that is inconclusive already keeps its cause."""
    hit = doubtful & (verdicts.code != Code.INCONCLUSIVE)
    verdicts.code[hit] = Code.INCONCLUSIVE
    verdicts.cause[hit] = cause
