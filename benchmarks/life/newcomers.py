"""First days of new pipelines, with and without what their siblings know.

    python -m benchmarks.life.newcomers [--seed N] [--kinds 24] [--apart 0.5] [--sensitivity normal]

Of each kind of value, SIBLINGS pipelines are observed for two weeks. Then NEW pipelines start, at random times within
four days, and live for two days. A change of at most six hours is planted on their first day, unless the kind has none.
Each new pipeline is evaluated three times: with an empty state, with the state that one sibling would hand on to a
version of its own, and with what `auto` learns from all siblings.

--seed: of the kinds and signals; by default it is drawn, and printed. --apart: standard deviation of the logarithm of
what siblings differ in: the noise, and the amplitude of the daily wave. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import secrets
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.life.grammar import Kind, Life, Observable, Shape, draw
from benchmarks.life.measure import Measured, measure, pooled, shown
from benchmarks.life.signals import PER_DAY, Incidents, Signals, Window, course, generate
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Code
from bridge.strategies.base import RetrainStrategy, StateColumn
from bridge.strategies.registry import build

Bools = NDArray[np.bool_]
SIBLINGS, NEW = 5, 8
BORN, SPREAD, LIFE, DAYS = 14, 4, 2, 21  # days
LONGEST = 6.0  # hours of a change


def nursery(kind: Kind, seed: int, apart: float) -> Signals:
    """Return SIBLINGS grown pipelines and NEW new ones of a kind, in this order; each differs by a random factor."""
    rng = np.random.default_rng([seed, kind.number, 1])
    alive = np.zeros((DAYS * PER_DAY, SIBLINGS + NEW), np.bool_)
    effect, windows = np.zeros(alive.shape), []
    alive[:, :SIBLINGS] = True
    hours = min(kind.change.hours, LONGEST)
    for model in range(SIBLINGS, SIBLINGS + NEW):
        born = BORN * PER_DAY + int(rng.integers(SPREAD * PER_DAY))
        alive[born : born + LIFE * PER_DAY, model] = True
        if kind.change.shape is not Shape.NONE:
            start = born + int(rng.integers(60, PER_DAY))
            end = start + max(int(hours * 60), 5)
            effect[start:end, model] = course(kind.change.shape, end - start)
            windows.append(Window(model, start, end))
    factors = np.exp(rng.normal(0, apart, (2, SIBLINGS + NEW)))
    columns = []
    for model, (noise, wave) in enumerate(factors.T):
        season = replace(kind.season, daily=kind.season.daily * wave)
        own = replace(kind, life=Life.LONG, season=season, spread=kind.spread * noise)
        values = generate(own, seed, SIBLINGS + NEW, DAYS, Incidents(alive, effect, windows)).values
        assert values is not None
        columns.append(values[:, model])
    return Signals(kind, np.stack(columns, axis=1), None, None, windows, 0)


# ---------------------------------------------------------------- evaluation


def nothing(_strategy: RetrainStrategy, siblings: StateColumn, _: int) -> StateColumn:
    """Return an empty state."""
    return np.zeros(1, siblings.dtype)


def one_sibling(strategy: RetrainStrategy, siblings: StateColumn, number: int) -> StateColumn:
    """Return what one sibling would hand on to a version of its own."""
    return strategy.successor(siblings[number % len(siblings) :][:1])


def all_siblings(strategy: RetrainStrategy, siblings: StateColumn, _: int) -> StateColumn:
    """Return what `auto` learns from all siblings."""
    return strategy.newcomer(siblings)


STARTS: dict[str, Callable[[RetrainStrategy, StateColumn, int], StateColumn]] = {
    "nothing": nothing, "one sibling": one_sibling, "siblings": all_siblings,
}  # fmt: skip


def run(parts: Sequence[Signals], sensitivity: str) -> dict[str, list[Measured]]:
    """Return the results of kinds of one observable, for each start of the new pipelines."""
    width = SIBLINGS + len(STARTS) * NEW
    columns = [shown(part) for part in parts]
    repeated = [np.concatenate([each[:, :SIBLINGS], *[each[:, SIBLINGS:]] * len(STARTS)], axis=1) for each in columns]
    merged = replace(parts[0], values=np.concatenate(repeated, axis=1))
    breached = _evaluate(merged, width, build(StrategySpec("auto", {"sensitivity": sensitivity})))
    results: dict[str, list[Measured]] = {name: [] for name in STARTS}
    for number, part in enumerate(parts):
        windows = [replace(window, model=window.model - SIBLINGS) for window in part.windows]
        own = replace(part, values=shown(part)[:, SIBLINGS:], windows=windows)
        for at, name in enumerate(STARTS):
            first = number * width + SIBLINGS + at * NEW
            results[name].append(measure(own, breached[:, first : first + NEW]))
    return results


def _evaluate(signals: Signals, width: int, strategy: RetrainStrategy) -> Bools:
    """Return where the strategy is breached (n, k). Each kind has `width` pipelines, the grown ones first."""
    assert signals.values is not None
    table = ModelTable()
    for model in range(signals.values.shape[1]):
        table.row(ModelKey("life", str(model), "1"))
    state = strategy.new_state(len(table))
    assert state is not None
    breached, seen = np.zeros(signals.values.shape, np.bool_), np.zeros(len(table), np.bool_)
    starts = list(STARTS.values())
    for row, batch in enumerate(signals.batches(table)):
        for model in batch.index[~seen[batch.index]].tolist():
            kind, place = divmod(model, width)
            if place >= SIBLINGS:
                siblings = state[kind * width : kind * width + SIBLINGS]
                state[model] = starts[(place - SIBLINGS) // NEW](strategy, siblings, place % NEW)[0]
        seen[batch.index] = True
        part = state[batch.index]
        breached[row, batch.index] = strategy.analyse_batch(batch, part).code == Code.BREACHED
        state[batch.index] = part
    return breached


def main() -> None:
    """Print a line for each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--kinds", type=int, default=24)
    parser.add_argument("--apart", type=float, default=0.0)
    parser.add_argument("--sensitivity", default="normal")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    able = (kind for kind in draw(seed, 4 * options.kinds) if kind.observable is not Observable.ERRORS)
    kinds = [kind for kind in able if kind.change.shape is not Shape.DIP][: options.kinds]
    parts = [nursery(kind, seed, options.apart) for kind in kinds]
    found: dict[str, list[Measured]] = {name: [] for name in STARTS}
    for observable in Observable:
        if same := [part for part in parts if part.kind.observable is observable]:
            for name, results in run(same, options.sensitivity).items():
                found[name] += results
    told = {}
    for name, results in found.items():
        whole = pooled(results)
        print(f"{name}: {whole.false} false in {whole.quarters:.1f} quarters, {whole.rate:.2f} ({whole.upper:.2f}); "
              f"detected {whole.detected} of {whole.planted}", flush=True)  # fmt: skip
        told[name] = {
            "false": whole.false, "quarters": round(whole.quarters, 2), "detected": whole.detected,
            "planted": whole.planted,
        }  # fmt: skip
    print(json.dumps({"seed": seed, "kinds": len(kinds), "apart": options.apart, "results": told}))


if __name__ == "__main__":
    main()
