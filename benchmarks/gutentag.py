"""Requests of `strategy: auto` on series of GutenTAG, a generator of labelled anomalies that other people wrote.

    python -m benchmarks.gutentag [--series 240] [--seed N]

Sources: Wenig, Schmidl and Papenbrock, TimeEval, PVLDB 15 (2022); the package timeeval-GutenTAG. It needs older
versions of other packages, so it is installed from PyPI into an environment of its own. The kinds of series and
anomalies are drawn from GutenTAG's, with its parameters, in gutentag_series.py.

Each series has 42 days of samples, one every five minutes, and one anomaly of five minutes to a day after the second
week. A request counts as detection until six hours after the end of the anomaly; any other is false. The simple
detectors have limits at which they make at most as many requests as `normal`. The seed is drawn by default, and
printed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.real import COOLDOWN, SIMPLE, SLOT, START, Bools, Piece, auto, counted, limit_at, quarters, requests
from bridge.domain.times import DAY
from bridge.strategies.auto import PROMISED

PACKAGE = "timeeval-gutentag==1.5.0"
FIRST_DAYS = 3  # days whose false requests are also counted apart
HEIGHT = 10.0  # added to values, in multiples of the largest: a custom signal of any height


@dataclass(frozen=True, slots=True)
class Labelled:
    """Series with one anomaly. start, end: ms of its first and last sample."""

    piece: Piece
    base: str
    kind: str
    start: int
    end: int


def generate(seed: int, count: int) -> list[Labelled]:
    """Return series of GutenTAG; installs it first."""
    with tempfile.TemporaryDirectory() as folder:
        python, made = Path(folder) / "venv/bin/python", Path(folder) / "series.npz"
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True, timeout=120)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", PACKAGE], check=True, timeout=600)
        script = Path(__file__).with_name("gutentag_series.py")
        order = [str(python), str(script), str(seed), str(count), str(made)]
        subprocess.run(order, check=True, timeout=1800, env={**os.environ, "TQDM_DISABLE": "1"})
        with np.load(made) as file:
            values, labels = file["values"], json.loads(str(file["labels"]))
    at = START + np.arange(values.shape[1]) * SLOT
    found = []
    for number, (row, (base, kind, first, last)) in enumerate(zip(values, labels, strict=True)):
        piece = Piece(f"{base}.{number}", "custom", at, row + HEIGHT * max(1.0, float(np.abs(row).max())))
        found.append(Labelled(piece, base, kind, int(at[first]), int(at[last])))
    return found


def score(found: Sequence[Labelled], breached: Sequence[Bools]) -> dict[str, object]:
    """Return false requests per model and quarter (also after the first days only), and detected anomalies."""
    false = late = 0
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    bases: dict[str, int] = defaultdict(int)
    for one, alarms in zip(found, breached, strict=True):
        at = requests(one.piece, alarms)
        hit = (at >= one.start) & (at <= one.end + COOLDOWN)
        kinds[one.kind][0] += bool(hit.any())
        kinds[one.kind][1] += 1
        false += int((~hit).sum())
        bases[one.base] += int((~hit).sum())
        late += int((~hit & (at >= START + FIRST_DAYS * DAY)).sum())
    whole = quarters([one.piece for one in found])
    return {
        "false_per_quarter": round(false / whole, 2), "after_first_days": round(late / whole, 2),
        "detected": sum(hits for hits, _ in kinds.values()), "anomalies": len(found),
        "by_kind": {kind: f"{hits} of {count}" for kind, (hits, count) in sorted(kinds.items())},
        "false_by_base": dict(sorted(bases.items())),
    }  # fmt: skip


def main() -> None:
    """Print a line for each detector, and the summary last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=240)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    found = generate(seed, options.series)
    pieces, result, most = [one.piece for one in found], {}, 0
    for sensitivity in PROMISED:
        alarms = auto(pieces, sensitivity=sensitivity)
        most = counted(pieces, alarms) if sensitivity == "normal" else most
        result[f"auto, {sensitivity}"] = score(found, alarms)
    for name, detector in SIMPLE.items():
        scores = [detector(piece) for piece in pieces]
        limit = limit_at(pieces, scores, most)
        result[name] = score(found, [each > limit for each in scores])
    for name, one in result.items():
        print(f"{name}: {one}")
    print(json.dumps({"seed": seed, "series": len(found), "gutentag": result}))


if __name__ == "__main__":
    main()
