"""Labelled series of GutenTAG, written to a file; run by the interpreter of an environment that has the package.

python gutentag_series.py SEED COUNT FILE
"""

from __future__ import annotations

import json
import logging
import random
import sys
from typing import Any

import numpy as np
from gutenTAG import GutenTAG

DAY = 288  # samples, one every five minutes
LENGTH = 42 * DAY
ONCE = 100 / DAY  # GutenTAG counts periods in 100 samples
RHYTHMS = ("sine", "cosine", "sawtooth", "square", "dirichlet", "ecg")
BASES = (*RHYTHMS, "half-day sine", "sine with a trend", "random-walk", "cylinder-bell-funnel", "mls")
KINDS = (
    "mean", "mean", "mean", "platform", "amplitude", "extremum", "trend", "variance", "pattern", "frequency",
    "pattern-shift",
)  # fmt: skip


def base(name: str, draw: random.Random) -> dict[str, Any]:
    """Return the oscillation of a series without its anomaly."""
    found: dict[str, Any] = {"kind": name, "amplitude": 1.0, "variance": draw.choice([0.05, 0.1, 0.3])}
    if name in RHYTHMS:
        found["frequency"] = 1.0 if name == "ecg" else ONCE
    if name == "cosine":
        found["freq-mod"] = 0.5
    elif name == "square":
        found["duty"] = draw.choice([0.1, 0.3, 0.5])
    elif name == "half-day sine":
        found |= {"kind": "sine", "frequency": 2 * ONCE}
    elif name == "sine with a trend":
        slope = draw.choice([-2.0, -0.5, 0.5, 2.0]) / LENGTH
        found |= {"kind": "sine", "frequency": ONCE, "trend": {"kind": "polynomial", "polynomial": [0, slope]}}
    elif name == "random-walk":
        found["smoothing"] = draw.choice([0.01, 0.03])
    elif name == "cylinder-bell-funnel":
        found |= {"avg-pattern-length": draw.choice([DAY // 4, DAY // 2]), "variance-pattern-length": 0.2}
    elif name == "mls":
        found["complexity"] = 8
    return found


def anomaly(kind: str, draw: random.Random) -> dict[str, Any]:
    """Return an anomaly of half an hour to a day, in the second or the last third of the series."""
    length, sign = draw.choice([6, 36, DAY // 2, DAY]), draw.choice([-1, 1])
    if kind in ("trend", "pattern", "frequency", "pattern-shift"):
        length = max(length, DAY // 2)
    elif kind == "extremum":
        length = 1
    params: dict[str, Any] = {
        "mean": {"offset": sign * draw.choice([0.5, 1, 2])},
        "platform": {"value": draw.choice([-1.5, 0, 1.5])},
        "amplitude": {"amplitude_factor": draw.choice([0.25, 2, 3])},
        "extremum": {"min": sign < 0, "local": False},
        "trend": {"oscillation": {"kind": "polynomial", "polynomial": [0, sign * 2 / length]}},
        "variance": {"variance": draw.choice([0.6, 1.2])},
        "pattern": {},
        "frequency": {"frequency_factor": draw.choice([2, 4])},
        "pattern-shift": {"shift_by": 20, "transition_window": 30},
    }[kind]
    return {"position": draw.choice(["middle", "end"]), "length": length, "kinds": [{"kind": kind, **params}]}


def series(name: str, kind: str, draw: random.Random) -> tuple[Any, int, int] | None:
    """Return values (LENGTH,) with the first and last index of the anomaly; None if GutenTAG cannot combine both."""
    one = {"name": "series", "length": LENGTH, "base-oscillations": [base(name, draw)]}
    one |= {"anomalies": [anomaly(kind, draw)], "supervised": False, "semi-supervised": False}
    generator = GutenTAG(seed=draw.randrange(10**6))
    try:
        generator.load_config_dict({"timeseries": [one]})
        (found,) = generator.generate(return_timeseries=True)
    except (ValueError, KeyError):
        return None
    odd = np.flatnonzero(found.timeseries["is_anomaly"])
    if not len(odd) or len(found.timeseries) != LENGTH:
        return None
    return found.timeseries.iloc[:, 0].to_numpy(float), int(odd[0]), int(odd[-1])


def main() -> None:
    """Write an array `values` (count, LENGTH), and `labels`, a JSON text of [base, kind, first, last] for each."""
    seed, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    logging.disable(logging.CRITICAL)  # GutenTAG logs each anomaly that it drops
    draw, values, labels = random.Random(seed), [], []
    while len(values) < count:
        name, kind = draw.choice(BASES), draw.choice(KINDS)
        if (made := series(name, kind, draw)) is not None:
            values.append(made[0])
            labels.append([name, kind, made[1], made[2]])
    np.savez_compressed(path, values=np.array(values), labels=json.dumps(labels))


if __name__ == "__main__":
    main()
