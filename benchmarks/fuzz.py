"""Fuzzing: `python -m benchmarks.fuzz` feeds 200,000 inputs to everything that takes text from outside.

No input may crash or take more than 100 ms of CPU, and a doubled one at most three times the CPU. One input in fifty is
doubled, from a size on that can be measured. Prints the seed; `--seed` repeats a run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.hostile import TARGETS, Input, Target, cost, inputs

LONGEST = 0.100  # seconds of CPU for one input
STEEPEST = 3.0
EVERY = 50
MEASURABLE = 0.004  # seconds of CPU
BATCH = 500  # inputs of one call of hypothesis, which takes longer with each that it remembers


@dataclass
class Tally:
    """Findings about one target."""

    name: str
    inputs: int = 0
    doubled: int = 0
    longest: float = 0.0
    steepest: float = 0.0
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        grown = f"{self.doubled:5} doubled, steepest {self.steepest:.2f}"
        return f"{self.name:28} {self.inputs:7} inputs, longest {self.longest * 1000:6.1f} ms, {grown}"


def main(arguments: Sequence[str]) -> int:
    """Print every finding with its input; exit with 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given_ = parser.parse_args(arguments)
    print(f"seed {given_.seed}")
    tallies: list[Tally] = []
    with ProcessPoolExecutor(given_.processes) as pool:
        for tally in pool.map(_fuzz, range(len(TARGETS)), repeat(given_.inputs), repeat(given_.seed)):
            print(tally, *tally.findings, sep="\n", flush=True)
            tallies.append(tally)
    findings = sum(len(tally.findings) for tally in tallies)
    print(json.dumps({
        "seed": given_.seed, "inputs": sum(tally.inputs for tally in tallies),
        "doubled": sum(tally.doubled for tally in tallies),
        "longest_ms": round(max(tally.longest for tally in tallies) * 1000, 1),
        "steepest": round(max(tally.steepest for tally in tallies), 2), "findings": findings,
    }))  # fmt: skip
    return 1 if findings else 0


def _fuzz(number: int, total: int, start: int) -> Tally:
    """Feed one target its share of the inputs."""
    target = TARGETS[number]
    count = total * target.share // sum(item.share for item in TARGETS) + 1
    tally = Tally(target.name)
    result = tally.findings
    for batch in range(0, count, BATCH):

        @seed(start + batch)
        @settings(
            max_examples=min(BATCH, count - batch), deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip
        @given(inputs(target))
        def run(given_: Input) -> None:
            tally.inputs += 1
            try:
                if problem := _problem(target, given_, tally):
                    result.append(f"{problem}: {_shown(given_)}")
            except Exception as error:  # noqa: BLE001 - a crash is what is looked for
                result.append(f"{type(error).__name__}: {error}: {_shown(given_)}")

        run()
    return tally


def _problem(target: Target, given_: Input, tally: Tally) -> str:
    took = cost(target, given_.text)
    if took > LONGEST:
        took = min(took, cost(target, given_.text, 5))
    tally.longest = max(tally.longest, took)
    if took > LONGEST:
        return f"{took * 1000:.0f} ms of CPU"
    if tally.inputs % EVERY == 0:
        ratio = _growth(target, given_)
        tally.doubled += ratio > 0
        tally.steepest = max(tally.steepest, ratio)
        if ratio > STEEPEST:
            return f"twice as long takes {ratio:.1f} times the CPU"
    return ""


def _growth(target: Target, given_: Input) -> float:
    """Return the factor of CPU time for a doubled input; 0 when it is too small to measure."""
    while cost(target, given_.text) < MEASURABLE:
        given_ = given_.doubled()
        if not 0 < len(given_.text) < 300_000:
            return 0.0
    ratio = STEEPEST + 1
    for repeats in (1, 3, 7):  # something else may have had the caches meanwhile
        if ratio > STEEPEST:
            ratio = cost(target, given_.doubled().text, repeats) / cost(target, given_.text, repeats)
    return ratio


def _shown(given_: Input) -> str:
    return f"{given_.before!r} + {given_.middle[:300]!r} * {given_.times} + {given_.after!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
