"""Benchmark of histogram comparisons: false positives, validity of bounds, power, and time per test.

    python -m benchmarks.histograms [--draws 100000] [--seed 1]

Both histograms of a draw are of one distribution, unless something else is said; the strategies themselves judge, over
columns of all draws, with `min_effect` out of the way. Times are compared with scipy's, in the same run. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import distance

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.strategies import ks, wasserstein
from bridge.strategies.histograms import histogram_pair
from bridge.strategies.registry import build

Floats = NDArray[np.float64]
INF = float("inf")
SECONDS = (.005, .01, .025, .05, .075, .1, .15, .2, .25, .3, .4, .5, .75, 1, 2.5, 5, 10, INF)  # fmt: skip
SIZES = ((100, 100), (200, 200), (500, 500), (1000, 1000), (5000, 5000), (100, 5000), (1000, 100_000))
LEAST = {"chi_square": 0, "ks": 0, "wasserstein": 1e-12, "psi": 0, "jensen_shannon": 0}
PIECE = 20_000


def latencies(slower: float = 1.0) -> Floats:
    """Return the share of each bucket of a latency around 150 ms."""
    return np.diff(stats.lognorm(0.5, scale=0.15 * slower).cdf(np.array(SECONDS)), prepend=0)


SHAPES: dict[str, tuple[tuple[float, ...], Floats]] = {
    "10 equal": ((*range(1, 10), INF), np.full(10, 0.1)),
    "20 equal": ((*range(1, 20), INF), np.full(20, 0.05)),
    "latency": (SECONDS, latencies()),
}


def batch(bounds: tuple[float, ...], now: Floats, before: Floats) -> EventBatch:
    """Return a batch of cumulative counts (k, b) of both sides; the table stays empty, as strategies do not read it."""
    index = np.arange(len(now), dtype=np.int32)
    columns = {"buckets": now, "reference": before}
    return EventBatch("shape", EventKind.CUSTOM, 0, ModelTable(), index, columns, np.array(bounds, float))


def drawn(rng: np.random.Generator, shares: Floats, size: int, draws: int) -> Floats:
    """Draw cumulative counts (draws, b)."""
    return rng.multinomial(size, shares, size=draws).cumsum(axis=1).astype(float)


def judged(name: str, one: EventBatch, alpha: float, limits: Mapping[str, float] = LEAST) -> Verdicts:
    """Evaluate the strategy. limits: min_effect by strategy, the default where there is none."""
    params = {"alpha": alpha} | ({"min_effect": limits[name]} if name in limits else {})
    return build(StrategySpec(name, params)).analyse_batch(one, None)


def false_alarms(rng: np.random.Generator, draws: int) -> dict[str, dict[str, float]]:
    """Return shares of false positives by shape and sizes, at 5 % and 0.1 %; and PSI by the rule of 0.1."""
    result: dict[str, dict[str, float]] = {}
    for shape, (bounds, shares) in SHAPES.items():
        for n, m in SIZES:
            counted = dict.fromkeys([*(f"{name}_{a}" for name in LEAST for a in (0.05, 0.001)), "psi_above_0.1"], 0.0)
            for _ in range(0, draws, PIECE):
                one = batch(bounds, drawn(rng, shares, n, PIECE), drawn(rng, shares, m, PIECE))
                for name in LEAST:
                    verdicts = judged(name, one, 0.05)
                    assert verdicts.p is not None
                    counted[f"{name}_0.05"] += int((verdicts.p <= 0.05).sum())
                    counted[f"{name}_0.001"] += int((verdicts.p <= 0.001).sum())
                    if name == "psi":
                        counted["psi_above_0.1"] += int((verdicts.statistic > 0.1).sum())
            whole = PIECE * -(-draws // PIECE)
            row = {name: round(count / whole, 5) for name, count in counted.items()}
            result[f"{shape} {n}/{m}"] = row
            print(f"{shape} {n}/{m}: {row}")
    return result


def with_sums(rng: np.random.Generator, draws: int) -> dict[str, dict[str, float]]:
    """Return shares of false positives of wasserstein with sums, at 5 % and 0.1 %."""
    result: dict[str, dict[str, float]] = {}
    for size in (100, 1000):
        seen = {0.05: 0, 0.001: 0}
        for _ in range(0, draws, 2000):
            sides = [rng.lognormal(np.log(0.15), 0.5, (2000, size)) for _ in range(2)]
            one = batch(SECONDS, *(counted(side, SECONDS) for side in sides))
            sums = {name: side.sum(axis=1) for name, side in zip(("sum", "reference_sum"), sides, strict=True)}
            p = judged("wasserstein", replace(one, columns={**one.columns, **sums}), 0.05).p
            assert p is not None
            for alpha in seen:
                seen[alpha] += int((p <= alpha).sum())
        whole = 2000 * -(-draws // 2000)
        result[f"{size}/{size}"] = {str(alpha): round(count / whole, 5) for alpha, count in seen.items()}
    return result


def power(rng: np.random.Generator, draws: int, size: int = 1000) -> dict[str, dict[str, float]]:
    """Return shares of slower latencies that are breached, and blind, at alpha 0.0001.

    size: observations on both sides. By the strategies' own limits; 20 ms for wasserstein, with sums and without.
    """
    result: dict[str, dict[str, float]] = {}
    for slower in (1.0, 1.1, 1.2, 1.3, 1.4):
        seen: dict[str, list[float]] = {}
        for _ in range(0, draws, 2000):
            sides = [rng.lognormal(np.log(0.15 * times), 0.5, (2000, size)) for times in (slower, 1.0)]
            one = batch(SECONDS, *(counted(side, SECONDS) for side in sides))
            sums = {name: side.sum(axis=1) for name, side in zip(("sum", "reference_sum"), sides, strict=True)}
            for name in (*LEAST, "wasserstein with sums"):
                seen_by = replace(one, columns={**one.columns, **sums}) if name.endswith("sums") else one
                verdicts = judged(name.split()[0], seen_by, 0.0001, {"wasserstein": 0.02})
                seen.setdefault(name, []).append(float((verdicts.code == Code.BREACHED).mean()))
                seen.setdefault(f"{name}, blind", []).append(float((verdicts.cause == Cause.BLIND).mean()))
        result[f"{slower}x"] = {name: round(float(np.mean(shares)), 4) for name, shares in seen.items()}
        print(f"{slower}x of {size}: {result[f'{slower}x']}")
    return result


def delays(rng: np.random.Generator, models: int, hourly: int) -> dict[str, dict[str, float]]:
    """Return median minutes until slower latencies are detected, -1 when most are not within two hours.

    Windows of an hour slide over the change every 15 minutes; the reference is an hour too, limits are the defaults
    (20 ms for the means).
    """
    result: dict[str, dict[str, float]] = {}
    for slower in (1.2, 1.4, 2.0):
        before = raw_latencies(rng, 1.0, models, hourly)
        when = {name: np.full(models, np.inf) for name in LEAST}
        seen = [raw_latencies(rng, 1.0, models, hourly // 4) for _ in range(4)]
        for minutes in range(15, 121, 15):
            seen = [*seen[1:], raw_latencies(rng, slower, models, hourly // 4)]
            one = of_raw(np.concatenate(seen, axis=1), before)
            for name, first in when.items():
                params = {"min_effect": 0.02} if name == "wasserstein" else {}
                breached = build(StrategySpec(name, params)).analyse_batch(one, None).code == Code.BREACHED
                first[breached & np.isinf(first)] = minutes
        medians = {name: float(np.quantile(first, 0.5, method="lower")) for name, first in when.items()}
        result[f"{slower}x"] = {name: minutes if np.isfinite(minutes) else -1 for name, minutes in medians.items()}
        print(f"minutes to {slower}x, {hourly} an hour: {result[f'{slower}x']}")
    return result


def raw_latencies(rng: np.random.Generator, slower: float, models: int, size: int) -> Floats:
    """Draw latencies (models, size) around 150 ms."""
    return 0.15 * slower * np.exp(0.5 * rng.standard_normal((models, size)))


def of_raw(now: Floats, before: Floats) -> EventBatch:
    """Return raw samples in buckets, with their sums."""
    columns = {"sum": now.sum(axis=1), "reference_sum": before.sum(axis=1)}
    one = batch(SECONDS, counted(now, SECONDS), counted(before, SECONDS))
    return replace(one, columns={**one.columns, **columns})


# ------------------------------------------------------------ bounds


def raw_ks(one: Floats, other: Floats) -> Floats:
    """Return the distance (k,) of raw samples (k, n) and (k, m), including ties."""
    pooled = np.concatenate([one, other], axis=1)
    steps = np.concatenate([np.full(one.shape, 1 / one.shape[1]), np.full(other.shape, -1 / other.shape[1])], axis=1)
    order = np.argsort(pooled, axis=1)
    ordered = np.take_along_axis(pooled, order, axis=1)
    apart = np.abs(np.take_along_axis(steps, order, axis=1).cumsum(axis=1))
    apart[:, :-1][ordered[:, 1:] == ordered[:, :-1]] = 0
    return apart.max(axis=1)


def raw_wasserstein(one: Floats, other: Floats) -> Floats:
    """Return the distance (k,) of raw samples of equal size."""
    return np.abs(np.sort(one, axis=1) - np.sort(other, axis=1)).mean(axis=1)


def counted(samples: Floats, bounds: tuple[float, ...]) -> Floats:
    """Return cumulative counts (k, b) of samples (k, n)."""
    return np.stack([(samples <= bound).sum(axis=1) for bound in bounds], axis=1).astype(float)


def bounds_hold(rng: np.random.Generator, draws: int, size: int = 100) -> dict[str, float]:
    """Return shares of draws whose raw distance is within the bounds, for equal and different distributions."""
    held, width, piece = {"ks": 0, "wasserstein": 0}, 0.0, 5000
    pieces = -(-draws // piece)
    for number in range(pieces):
        bounds = (*np.unique(rng.uniform(0.05, 3, rng.integers(2, 20))).tolist(), INF)
        one, other = rng.lognormal(0, 0.6, (piece, size)), rng.lognormal(rng.normal(0, 0.3), 0.6, (piece, size))
        if number % 2:
            one, other = one.round(1), other.round(1)  # many ties, also at bounds
        pair = histogram_pair(batch(bounds, counted(one, bounds), counted(other, bounds)), slice(None), 1)
        assert pair is not None
        for name, distances, raw in (("ks", ks, raw_ks), ("wasserstein", wasserstein, raw_wasserstein)):
            low, high = distances.distances(pair)
            true = raw(one, other)
            held[name] += int(((low <= true + 1e-9) & (true <= high + 1e-9)).sum())
            width += float((high - low).sum()) if name == "ks" else 0.0
    result = {f"{name}_inside": count / (piece * pieces) for name, count in held.items()}
    return result | {"ks_mean_width": round(width / (piece * pieces), 4)}


# ------------------------------------------------------------ speed


def scipy_ways(now: Floats, before: Floats, bounds: Floats) -> dict[str, Callable[[int], object]]:
    """Compute the nearest equivalent of a statistic and p with scipy, for one pair of bucket counts."""
    n, m = now.sum(axis=1), before.sum(axis=1)
    middles = np.append(bounds[:-1] - 0.5, bounds[-2])
    samples = [np.repeat(middles, row.astype(int)) for row in (now[0], before[0])]

    def moved(position: int) -> tuple[float, float]:
        homogeneous = stats.chi2_contingency(np.stack([now[position], before[position]]), correction=False)
        return stats.wasserstein_distance(middles, middles, now[position], before[position]), homogeneous.pvalue

    def divergence(position: int) -> float:
        js = distance.jensenshannon(now[position], before[position], base=2) ** 2
        scale = (1 / n[position] + 1 / m[position]) / (8 * np.log(2))
        return float(stats.chi2.sf(js / scale, len(bounds) - 1))

    def index(position: int) -> float:
        p, q = (now[position] + 0.5) / n[position], (before[position] + 0.5) / m[position]
        psi = stats.entropy(p, q) + stats.entropy(q, p)
        return float(stats.chi2.sf(psi / (1 / n[position] + 1 / m[position]), len(bounds) - 1))

    return {
        "chi_square": lambda position: stats.chi2_contingency(
            np.stack([now[position], before[position]]), correction=False
        ),
        "ks": lambda _: stats.ks_2samp(*samples, method="asymp"),
        "wasserstein": moved,
        "psi": index,
        "jensen_shannon": divergence,
    }


def speed(rng: np.random.Generator, models: int) -> dict[str, dict[str, float]]:
    """Return microseconds per model of 20 buckets: of the strategies, of scipy in turn, and their ratio."""
    bounds, shares = SHAPES["20 equal"]
    now, before = drawn(rng, shares, 1000, models), drawn(rng, shares, 1000, models)
    one = batch(bounds, now, before)
    pairs = min(300, models)
    raw = [np.diff(side[:pairs], axis=1, prepend=0) for side in (now, before)]
    result: dict[str, dict[str, float]] = {}
    for name, way in scipy_ways(raw[0], raw[1], np.array(bounds)).items():
        ours, theirs = [], []
        for _ in range(5):
            began = time.process_time()
            judged(name, one, 0.0001)
            middle = time.process_time()
            for position in range(pairs):
                way(position)
            ours.append((middle - began) / models)
            theirs.append((time.process_time() - middle) / pairs)
        own, peer = (1e6 * float(np.median(times)) for times in (ours, theirs))
        result[name] = {"us": round(own, 3), "scipy_us": round(peer, 1), "ratio": round(own / peer, 5)}
        print(f"{name}: {result[name]}")
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.draws} draws, {args.models} models")
    rng = np.random.default_rng(args.seed)
    result: dict[str, Any] = {"seed": args.seed, "draws": args.draws, "models": args.models}
    result["speed"] = speed(rng, args.models)
    result["bounds"] = bounds_hold(rng, args.draws)
    print(f"bounds: {result['bounds']}")
    result["power"] = power(rng, min(args.draws, 10_000))
    result["power_of_10000"] = power(rng, min(args.draws, 2000), 10_000)
    for hourly in (400, 2000):
        result[f"delays_of_{hourly}"] = delays(rng, min(args.draws, 1000), hourly)
    result["with_sums"] = with_sums(rng, args.draws)
    print(f"with_sums: {result['with_sums']}")
    result["false_alarms"] = false_alarms(np.random.default_rng((args.seed, 1)), args.draws)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
