"""Requests of a detector on signals of a kind: false ones, planted changes that were detected, and delays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.life.grammar import Observable, Shape
from benchmarks.life.signals import EVENTS, PER_DAY, SLOT, WINDOW, Signals
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Code
from bridge.strategies.registry import build

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
COOLDOWN = 6 * 60 // SLOT  # slots between two requests of a model
LATE = 10  # minutes after the end of a change in which its request still counts: a range, and a late scrape
AFTER = PER_DAY  # minutes after a change in which a request is neither right nor false
QUARTER = 90 * PER_DAY // SLOT  # slots
BOTH = frozenset({EventKind.CUSTOM})  # events of which both directions count


@dataclass(frozen=True, slots=True)
class Measured:
    """Result of a detector on one kind.

    false: false requests. quarters: model-quarters in which they were counted.
    planted, detected: changes. delays: minutes from their start to the request.
    """

    false: int
    quarters: float
    planted: int
    detected: int
    delays: tuple[float, ...]

    @property
    def rate(self) -> float:
        """False requests per model and quarter."""
        return self.false / max(self.quarters, 1e-9)

    @property
    def upper(self) -> float:
        """Upper 95 % bound of the rate, if requests are Poisson: Garwood, Biometrika 28 (1936)."""
        return poisson_upper(self.false) / max(self.quarters, 1e-9)

    @property
    def share(self) -> float:
        """Detected share of the planted changes; NaN without any."""
        return self.detected / self.planted if self.planted else math.nan

    @property
    def median(self) -> float:
        """Median delay in minutes; NaN without any."""
        return float(np.median(self.delays)) if self.delays else math.nan


def pooled(results: Sequence[Measured]) -> Measured:
    """Return the result over several kinds."""
    return Measured(
        sum(one.false for one in results), sum(one.quarters for one in results),
        sum(one.planted for one in results), sum(one.detected for one in results),
        tuple(delay for one in results for delay in one.delays),
    )  # fmt: skip


def poisson_upper(count: int, level: float = 0.95) -> float:
    """Return the one-sided upper bound of a Poisson mean, given a count."""
    return float(stats.chi2.ppf(level, 2 * (count + 1)) / 2)


def requests(breached: Bools) -> list[NDArray[np.int64]]:
    """Return, for each model, the slots at which it becomes breached, COOLDOWN after the last request.

    breached: (n, k).
    """
    begins = breached.copy()
    begins[1:] &= ~breached[:-1]
    found = []
    for model in range(breached.shape[1]):
        kept: list[int] = []
        for slot in np.flatnonzero(begins[:, model]).tolist():
            if not kept or slot - kept[-1] >= COOLDOWN:
                kept.append(slot)
        found.append(np.array(kept, np.int64))
    return found


def measure(signals: Signals, breached: Bools) -> Measured:
    """Return what the requests of a detector are worth. breached: (n, k), aligned with the slots of `signals`."""
    kind = signals.kind
    harmless = kind.change.shape is Shape.DIP and EVENTS[kind.observable] not in BOTH  # a change for the better
    planted = detected = false = 0
    counted, delays = 0, []
    alive = lives(signals)
    for model, slots in enumerate(requests(breached)):
        minutes = (slots + 1) * SLOT
        free = np.ones(len(slots), np.bool_)
        quiet = alive[:, model].copy()
        for window in (each for each in signals.windows if each.model == model):
            free &= (minutes < window.start) | (minutes > window.end + AFTER)
            quiet[window.start // SLOT : (window.end + AFTER) // SLOT] = False
            if not window.counts or harmless:
                continue
            planted += 1
            hits = minutes[(minutes >= window.start) & (minutes <= window.end + LATE)]
            if len(hits):
                detected += 1
                delays.append(float(hits[0] - window.start))
        false += max(int(free.sum()) - signals.admissible, 0)
        counted += int(quiet.sum())
    return Measured(false, counted / QUARTER, planted, detected, tuple(delays))


def lives(signals: Signals) -> Bools:
    """Return the life (n, k) of each model, from its first to its last sample: a quarter is one of the calendar."""
    column = signals.values if signals.values is not None else signals.total
    assert column is not None
    present = ~np.isnan(column)
    begun, goes_on = np.logical_or.accumulate(present), np.logical_or.accumulate(present[::-1])[::-1]
    return np.asarray(begun & goes_on)


def shown(signals: Signals) -> Floats:
    """Return the value (n, k) that a person sees: the share of errors, or the value."""
    if signals.values is not None:
        return signals.values
    assert signals.errors is not None
    assert signals.total is not None
    share = signals.errors / np.maximum(signals.total, 1e-9)
    return np.where(signals.total > 0, share, np.nan)


def run(parts: Sequence[Signals], strategy: str, params: dict[str, object]) -> list[Bools]:
    """Return breached (n, k) for each of `parts`, by a strategy over all of them at once, as an engine would run it."""
    breached: list[Bools] = [np.zeros(shown(each).shape, np.bool_) for each in parts]
    for observable in Observable:
        chosen = [at for at, each in enumerate(parts) if each.kind.observable is observable]
        if not chosen:
            continue
        merged = _merged([parts[at] for at in chosen])
        widths = [breached[at].shape[1] for at in chosen]
        counted = {"window": f"{WINDOW}m"} if observable is Observable.ERRORS else {}  # as the engine does
        result = _evaluate(merged, strategy, {**counted, **params})
        for at, columns in zip(chosen, np.split(result, np.cumsum(widths)[:-1], axis=1), strict=True):
            breached[at] = columns
    return breached


def _merged(parts: Sequence[Signals]) -> Signals:
    first = parts[0]
    columns = [
        None if any(getattr(each, name) is None for each in parts)
        else np.concatenate([getattr(each, name) for each in parts], axis=1)
        for name in ("values", "errors", "total")
    ]  # fmt: skip
    return Signals(first.kind, *columns, [], 0)


def _evaluate(signals: Signals, name: str, params: dict[str, object]) -> Bools:
    column = signals.values if signals.values is not None else signals.total
    assert column is not None
    table = ModelTable()
    for model in range(column.shape[1]):
        table.row(ModelKey("life", str(model), "1"))
    strategy = build(StrategySpec(name, params))
    state = strategy.new_state(column.shape[1])
    assert state is not None
    breached = np.zeros(column.shape, np.bool_)
    for row, batch in enumerate(signals.batches(table)):
        if not len(batch):
            continue
        code = _step(strategy, batch, state)
        breached[row, batch.index] = code == Code.BREACHED
        if row:  # a model that does not report keeps its verdict
            gone = np.ones(column.shape[1], np.bool_)
            gone[batch.index] = False
            breached[row, gone] = breached[row - 1, gone]
    return breached


def _step(strategy, batch: EventBatch, state) -> NDArray[np.int8]:  # type: ignore[no-untyped-def]
    if len(batch) == len(state):
        return np.asarray(strategy.analyse_batch(batch, state).code)
    part = state[batch.index]
    code = strategy.analyse_batch(batch, part).code
    state[batch.index] = part
    return np.asarray(code)
