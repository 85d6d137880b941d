"""Comparison of `auto` with simple detectors over generated kinds of signals.

    python -m benchmarks.life [--seed 7] [--final N] [--kinds 36] [--models 20] [--no-streams] [--list]

--seed is the development seed: each simple detector gets one setting for all kinds, at which its false requests over
all kinds equal those of `auto` there. --final is the seed of the report; by default it is drawn, and printed. On it,
the simple detectors run a second time, with limits chosen on that seed, in hindsight, so that all make as many false
requests as `auto`. --list prints the kinds of --seed and runs nothing. river runs over a tenth of the models. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.life.comparison import PROMISED, SENSITIVITIES, Seed, add_auto, add_simple, add_streams, drawn
from benchmarks.life.grammar import draw
from benchmarks.life.measure import Measured, pooled

OURS = "auto normal"


def main() -> None:
    """Print the results by kind and by detector, and the summary last."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.life", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--final", type=int)
    parser.add_argument("--kinds", type=int, default=36)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--development-only", action="store_true")
    parser.add_argument("--no-streams", dest="streams", action="store_false")
    parser.add_argument("--list", dest="lists", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # means of empty slices: models that are not alive
    if options.lists:
        for kind in draw(options.seed, options.kinds):
            print(f"{kind.number:3d} {kind.describe()}; {kind.admissible} admissible for each model")
        print(json.dumps({"seed": options.seed, "kinds": options.kinds}))
        return
    began = time.monotonic()
    development = drawn(options.seed, options.kinds, options.models)
    few = max(options.models // 10, 2)
    add_auto(development, SENSITIVITIES)
    rate = pooled(development.results[OURS]).rate
    limits = add_simple(development, None, rate)
    settings = add_streams(development, None, rate, few) if options.streams else {}
    show("development", development)
    summary: dict[str, Any] = {
        "kinds": options.kinds, "models": options.models, "development": told(development),
        "settings": {**limits, **settings},
    }  # fmt: skip
    if not options.development_only:
        final = drawn(secrets.randbelow(10**6) if options.final is None else options.final, *_size(options))
        add_auto(final, SENSITIVITIES)
        add_simple(final, limits, rate)
        if options.streams:
            add_streams(final, settings, rate, few)
        show("final", final)
        equal = Seed(final.number, final.parts, {OURS: final.results[OURS]})
        add_simple(equal, None, pooled(final.results[OURS]).rate)
        show("final (limits chosen on it)", equal)
        summary["final"], summary["final_at_equal_rates"] = told(final), told(equal)
        gap = pooled(development.results[OURS]).share - pooled(final.results[OURS]).share
        summary["detected_share_development_less_final"] = round(gap, 4)
    summary["seconds"] = round(time.monotonic() - began)
    print(json.dumps(summary))


def _size(options: argparse.Namespace) -> tuple[int, int]:
    return options.kinds, options.models


def show(title: str, seed: Seed) -> None:
    """Print the detectors that were run on each kind, and a line for each detector over all of them."""
    print(f"\n{title} seed {seed.number}")
    others = [name for name in seed.results if not name.startswith("auto")]
    for at, part in enumerate(seed.parts):
        kind = part.kind
        print(f"{kind.number:3d} {kind.describe()}")
        for name in (name for name in seed.results if name.startswith("auto")):
            print(f"      {line(name, seed.results[name][at])}")
        if seed.results[OURS][at].planted:
            better = [name for name in others if seed.results[name][at].share > seed.results[OURS][at].share]
            print("      others: " + ", ".join(f"{name} {seed.results[name][at].share:.0%}" for name in others))
            print("      behind: " + (", ".join(better) or "none"))
    print(f"\nover all kinds of {title} seed {seed.number}")
    for name, results in seed.results.items():
        print(line(name, pooled(results)), f"; ahead {ahead(seed, name)}" if name in others else "", flush=True)


def line(name: str, one: Measured) -> str:
    """Return a result as text."""
    text = f"{name}: {one.rate:.2f} false requests a quarter (at most {one.upper:.2f})"
    if not one.planted:
        return text
    return f"{text}; detected {one.detected} of {one.planted} ({one.share:.0%}), median {one.median:.0f} min"


def ahead(seed: Seed, name: str) -> str:
    """Return in how many kinds with changes `auto` detects more, as many, and fewer."""
    pairs = zip(seed.results[OURS], seed.results[name], strict=True)
    gaps = [ours.share - other.share for ours, other in pairs if ours.planted and other.planted]
    more, same = sum(gap > 0 for gap in gaps), sum(gap == 0 for gap in gaps)
    return f"{more} kinds, equal {same}, behind {len(gaps) - more - same}"


def told(seed: Seed) -> dict[str, Any]:
    """Return the results of a seed for the summary."""
    table = {}
    for name, results in seed.results.items():
        whole = pooled(results)
        table[name] = {
            "false_per_quarter": round(whole.rate, 3), "upper": round(whole.upper, 3),
            "detected": round(whole.share, 4), "median_minutes": _number(whole.median),
            "planted": whole.planted,
        }  # fmt: skip
        if name.startswith("auto"):
            promise = PROMISED[name.removeprefix("auto ")]
            table[name]["worst_kind"] = round(max(one.rate for one in results), 3)
            table[name]["kinds_above_twice"] = sum(one.rate > 2 * promise for one in results)
        else:
            table[name]["auto_ahead"] = ahead(seed, name)
    return {"seed": seed.number, "detectors": table}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 1)


if __name__ == "__main__":
    main()
