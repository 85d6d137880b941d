"""Kinds of a seed, printed: python -m benchmarks.life --seed N [--kinds 24]. The last line is one JSON object."""

from __future__ import annotations

import argparse
import json

import numpy as np

from benchmarks.life.grammar import draw
from benchmarks.life.signals import generate


def main() -> None:
    """Print each kind with its planted changes, admissible requests and share of slots without a sample."""
    parser = argparse.ArgumentParser("python -m benchmarks.life", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--kinds", type=int, default=24)
    parser.add_argument("--models", type=int, default=5)
    options = parser.parse_args()
    planted = 0
    for kind in draw(options.seed, options.kinds):
        signals = generate(kind, options.seed, options.models)
        column = signals.values if signals.values is not None else signals.total
        assert column is not None
        windows = sum(window.counts for window in signals.windows)
        planted += windows
        empty = float(np.isnan(column).mean())
        print(f"{kind.number:3d} {kind.describe()}")
        print(f"    {windows} planted, {signals.admissible} admissible for each model, {empty:.0%} of slots empty")
    print(json.dumps({"seed": options.seed, "kinds": options.kinds, "models": options.models, "planted": planted}))


if __name__ == "__main__":
    main()
