"""Verdicts of a rule on a batch: the strategy's, unless the samples are too few, too old, or of too new a model."""

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
    """Return the verdicts (k,) on a batch. Raises StrategyError.

    strategy: None = every model in the response is breached.
    state: (k,), strategy state of the batch's models; changed in place.
    first_seen: (k,), when each model was first seen, 0 = never; read only for a warm-up.
    """
    if batch.cause is not Cause.NONE:
        return Verdicts.inconclusive(len(batch), batch.cause)
    if strategy is None:
        nan = np.full(len(batch), np.nan)
        breached = np.full(len(batch), Code.BREACHED, np.int8)
        return Verdicts(breached, np.zeros(len(batch), np.int8), batch.values(), nan)
    stale, few = _stale(batch, query), _few(batch, rule)
    verdicts = _evaluated(strategy, batch, state, stale | few)
    _withdraw(verdicts, stale, Cause.STALE)
    _withdraw(verdicts, few, Cause.INSUFFICIENT)
    if rule.warm_up:
        young = (first_seen == 0) | (batch.slot - first_seen < rule.warm_up)
        _withdraw(verdicts, young, Cause.WARMING_UP)
    if rule.fdr:
        _control_false_discoveries(verdicts, rule.fdr)
    return verdicts


def _evaluated(strategy: RetrainStrategy, batch: EventBatch, state: StateColumn | None, unreliable: Bools) -> Verdicts:
    """Return the strategy's verdicts; state of the elements in `unreliable` is restored afterwards."""
    if state is None or not unreliable.any():
        return guarded(strategy, batch, state)
    before = state[unreliable]
    verdicts = guarded(strategy, batch, state)
    state[unreliable] = before
    return verdicts


def _stale(batch: EventBatch, query: SignalQuery) -> Bools:
    """Return which samples are stale, bool (k,)."""
    if not query.stale_after:
        return np.zeros(len(batch), np.bool_)
    age = batch.slot - batch.column(UPDATED) * 1000
    return ~(age < query.stale_after)


def _few(batch: EventBatch, rule: Rule) -> Bools:
    """Return which samples have too few observations, bool (k,)."""
    return ~(batch.column(COUNT) >= rule.n_min) if rule.n_min else np.zeros(len(batch), np.bool_)


def _control_false_discoveries(verdicts: Verdicts, rate: float) -> None:
    """Turn breaches that fail the false discovery rate `rate` into BAND: they start nothing and end nothing."""
    tested = np.flatnonzero(verdicts.code != Code.INCONCLUSIVE)
    p = np.full(len(tested), np.nan) if verdicts.p is None else verdicts.p[tested]
    insignificant = tested[~discoveries(p, rate)]
    verdicts.code[insignificant[verdicts.code[insignificant] == Code.BREACHED]] = Code.BAND


def _withdraw(verdicts: Verdicts, unreliable: Bools, cause: Cause) -> None:
    """Make the `unreliable` verdicts inconclusive; one that already is keeps its cause."""
    hit = unreliable & (verdicts.code != Code.INCONCLUSIVE)
    verdicts.code[hit] = Code.INCONCLUSIVE
    verdicts.cause[hit] = cause
