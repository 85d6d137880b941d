"""Benchmark of the forecast of how long a retraining lasts: coverage of its 90 % intervals on generated pipelines.

    python -m benchmarks.lifetimes [--fleets 200] [--seed N]

Each fleet has pipelines of one project whose retrainings last by a law of their own: log-normal, Weibull or gamma, with
a spread between pipelines and within them. Each pipeline has been watched for a time of its own; the lifetime that is
under way then is the one to forecast: the interval should cover its end. Without --seed the seed is drawn and printed.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import secrets
from collections import Counter

import numpy as np

from bridge.strategies.stats.survival import fit

MOST = 100  # retrainings of one pipeline
LAWS = ("lognormal", "weibull", "gamma")


def draw(rng: np.random.Generator, law: str, scale: float, shape: float, count: int) -> list[float]:
    """Return lifetimes in days."""
    if law == "lognormal":
        found = scale * np.exp(rng.normal(0, shape, count))
    elif law == "weibull":
        found = scale * rng.weibull(1.2 / shape, count)
    else:
        found = rng.gamma(1 / shape**2, scale * shape**2, count)
    return np.maximum(found, 0.05).tolist()


def fleet(rng: np.random.Generator, law: str) -> Counter[str]:
    """Return how many of the present lifetimes of a fleet were covered, and how wide the intervals are."""
    pipelines, shape = int(rng.integers(2, 25)), float(rng.uniform(0.25, 0.9))
    common, between = float(rng.uniform(5, 60)), float(rng.uniform(0, 0.8))
    groups, lifetimes, ended, present = list[int](), list[float](), list[bool](), list[tuple[int, float, float]]()
    for number in range(pipelines):
        lived = draw(rng, law, common * float(np.exp(rng.normal(0, between))), shape, MOST)
        now = common * float(rng.uniform(0.3, 6))
        past = int(np.searchsorted(np.cumsum(lived), now))
        if past == MOST:
            continue
        lived, age = lived[: past + 1], now - sum(lived[:past])
        groups += [number] * (past + 1)
        lifetimes += [*lived[:past], max(age, 0.01)]
        ended += [True] * past + [False]
        present.append((number, max(age, 0.01), lived[-1]))
    known = fit(groups, lifetimes, ended)
    found: Counter[str] = Counter()
    if known is None:
        return found
    for number, age, truth in present:
        low, high = known.interval(number, age)
        found[f"{law} forecasts"] += 1
        found[f"{law} covered"] += low <= truth <= high
    return found


def main() -> None:
    """Print the coverage of each law, and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    seed = given.seed or secrets.randbelow(10**6) + 1
    print(f"seed {seed}")
    rng, total = np.random.default_rng(seed), Counter[str]()
    for law in LAWS:
        for _ in range(given.fleets):
            total += fleet(rng, law)
        print(f"{law:10} {total[f'{law} forecasts']} intervals, covered {coverage(total, law):.1%}")
    shares = {law: round(coverage(total, law), 4) for law in LAWS}
    print(json.dumps({"benchmark": "lifetimes", "seed": seed, **shares}))


def coverage(total: Counter[str], law: str) -> float:
    """Return the share of covered lifetimes."""
    return total[f"{law} covered"] / max(1, total[f"{law} forecasts"])


if __name__ == "__main__":
    main()
