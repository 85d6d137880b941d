"""Benchmark of `fdr` with many models: false and true alarms in a slot, with and without the gate.

    python -m benchmarks.many [--models 5000] [--drifting 100] [--slots 1000] [--seed 1]

Statistics are independent and normal, those of drifting models shifted by so many standard deviations. The engine's own
code judges. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import Rule, SignalQuery
from bridge.domain.verdict import Code, Verdicts
from bridge.engine.evaluation.judge import judge
from bridge.strategies.base import RetrainStrategy, StateColumn

QUERY = SignalQuery("z", EventKind.CUSTOM, {"value": "z"})
NOBODY = np.zeros(0, np.int64)
GRID = np.linspace(-12, 12, 24001)
TAIL = np.array([NormalDist().cdf(-z) for z in GRID.tolist()])


@dataclass
class OneSided(RetrainStrategy):
    """Strategy that is breached when the p-value of a normal statistic is at most alpha."""

    alpha: float
    name = "one_sided"
    gives_p = True

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        """Compare p-values with alpha."""
        z = batch.values()
        p = np.interp(z, GRID, TAIL)
        code = np.where(p <= self.alpha, np.int8(Code.BREACHED), np.int8(Code.OK))
        return Verdicts(code, np.zeros(len(z), np.int8), z, np.full(len(z), np.nan), p=p)


def slots(rng: np.random.Generator, rule: Rule, args: argparse.Namespace, shift: float) -> dict[str, float]:
    """Return means over the slots: share and number of false alarms, and number of drifting models detected."""
    drifting = np.arange(args.models) < args.drifting
    index, strategy = np.arange(args.models, dtype=np.int32), OneSided(0.05)
    shares, false, result, seconds = [], [], [], []
    for _ in range(args.slots):
        z = rng.normal(size=args.models) + shift * drifting
        batch = EventBatch("z", EventKind.CUSTOM, 0, ModelTable(), index, {"value": z})
        began = time.perf_counter()
        alarms: NDArray[np.bool_] = judge(strategy, batch, None, rule, QUERY, NOBODY).code == Code.BREACHED
        seconds.append(time.perf_counter() - began)
        false.append((alarms & ~drifting).sum())
        result.append((alarms & drifting).sum())
        shares.append(false[-1] / max(1, alarms.sum()))
    numbers = {"false_share": np.mean(shares), "false": np.mean(false), "found": np.mean(result)}
    text = {name: round(float(number), 4) for name, number in numbers.items()}
    return text | {"ms": round(1000 * float(np.median(seconds)), 3)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=5000)
    parser.add_argument("--drifting", type=int, default=100)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    raw = Rule("Many", "g", "z")
    result: dict[str, Any] = dict(vars(args))
    for shift in (3.0, 4.0, 5.0):
        for label, rule in (("raw", raw), ("fdr", replace(raw, fdr=0.05))):
            rng = np.random.default_rng(args.seed)
            result[f"{label}_shift_{shift:g}"] = slots(rng, rule, args, shift)
            print(f"{label}, drifting ones {shift:g} standard deviations off: {result[f'{label}_shift_{shift:g}']}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
