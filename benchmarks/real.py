"""Requests of `strategy: auto` on real series, and detection of changes that are planted in them.

    python -m benchmarks.real --data DIR [--days 84] [--segments 3] [--seed N]

DIR has folders `latency`, `drift` and `custom` with CSV files of the columns timestamp (seconds) and value, and a
folder `errors` with files of timestamp, errors and total (a row for each window of five minutes). Each series is cut
into at most --segments pieces of --days days, each of which is a model. Times are moved by whole weeks.

Every request on the series as they are counts as false. Real series have real events, so this is an upper bound.
Changes are planted in copies of the first 28 days of the pieces, after two weeks, or on the first day; in `next day`,
the second of two changes counts. The simple detectors have limits at which they make as many requests on the series as
they are. --seed: of the changes; by default it is drawn, and printed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.rule import StrategySpec
from bridge.domain.times import DAY, HOUR, MINUTE, SECOND
from bridge.domain.verdict import Code
from bridge.strategies.registry import build

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Times = NDArray[np.int64]
EVENTS = {
    "latency": EventKind.LATENCY, "drift": EventKind.DRIFT, "custom": EventKind.CUSTOM,
    "errors": EventKind.INFERENCE_ERROR,
}  # fmt: skip
START = 1_700_006_400_000 - 2 * DAY  # a Monday, 00:00 UTC
WEEK = 7 * DAY
SLOT = 5 * MINUTE
COOLDOWN = 6 * HOUR
PLANT_DAYS = 28
SIZES = {"latency": (1.3, 1.5, 2.0), "drift": (2.0, 3.0, 5.0), "custom": (2.0, 3.0, 5.0), "errors": (2.0, 3.0, 5.0)}
SHAPES = {
    "20m": ("step", 20 * MINUTE), "1h": ("step", HOUR), "3h": ("step", 3 * HOUR), "12h": ("step", 12 * HOUR),
    "3d": ("step", 3 * DAY), "ramp 6h": ("ramp", 6 * HOUR), "next day": ("step", 3 * HOUR),
    "first day": ("step", 3 * HOUR),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a series. at: times of samples in ms. values: samples, or errors. total: requests; None for values."""

    name: str
    event: str
    at: Times
    values: Floats
    total: Floats | None = None

    def shown(self) -> Floats:
        """Return the numbers that a simple detector sees."""
        if self.total is not None:
            return self.values / np.maximum(self.total, 1e-9)
        return np.log(np.maximum(self.values, 1e-9)) if self.event == "latency" else self.values


@dataclass(frozen=True, slots=True)
class Plant:
    """Planted change. piece: index of the copy; start, end: ms."""

    piece: int
    change: str
    size: float
    start: int
    end: int


def read(folder: Path, days: int, segments: int) -> list[Piece]:
    """Return the pieces of all series below `folder`."""
    found = []
    for event in EVENTS:
        for path in sorted((folder / event).glob("*.csv")):
            with path.open() as file:
                rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]])
            found += pieces(path.stem, event, rows, days * DAY, segments)
    return found


def pieces(name: str, event: str, rows: Floats, length: int, segments: int) -> list[Piece]:
    """Return at most `segments` pieces (rows (n, 2 or 3)) of `length` ms, spread evenly; the last may be shorter."""
    at = (rows[:, 0] * SECOND).astype(np.int64)
    most = max(int((at[-1] - at[0]) // length), 1)
    chosen = np.unique(np.linspace(0, most - 1, min(most, segments)).astype(int))
    result = []
    for number in chosen.tolist():
        begin = at[0] + number * length
        part = (at >= begin) & (at < begin + length)
        if part.sum() < 100:
            continue
        moved = (at[part] - START) // SLOT * SLOT
        moved = moved - moved[0] // WEEK * WEEK + START
        last = np.append(moved[1:] != moved[:-1], True)
        columns = rows[part][last]
        total = columns[:, 2] if event == "errors" else None
        result.append(Piece(f"{name}.{number}", event, moved[last], columns[:, 1], total))
    return result


# ---------------------------------------------------------------- detectors


def auto(found: Sequence[Piece], **params: object) -> list[Bools]:
    """Return for each piece at which samples `auto` is breached."""
    breached = [np.zeros(len(piece.at), np.bool_) for piece in found]
    for event in EVENTS:
        chosen = [at for at, piece in enumerate(found) if piece.event == event]
        if chosen:
            for at, codes in zip(chosen, _run([found[at] for at in chosen], event, params), strict=True):
                breached[at] = codes
    return breached


def _run(found: list[Piece], event: str, params: dict[str, object]) -> list[Bools]:
    strategy = build(StrategySpec("auto", dict(params)))
    state = strategy.new_state(len(found))
    assert state is not None
    codes, table = [np.zeros(len(piece.at), np.bool_) for piece in found], ModelTable()
    for slot, models, samples in _slots(found):
        values = _of([piece.values for piece in found], models, samples)
        if event == "errors":
            total = _of([piece.total for piece in found if piece.total is not None], models, samples)
            columns = {"errors": values, "total": total}
        else:
            columns = {"value": values}
        batch = EventBatch("signal", EVENTS[event], slot, table, models.astype(np.int32), columns)
        part = state[models]
        code = strategy.analyse_batch(batch, part).code
        state[models] = part
        for model, sample, one in zip(models.tolist(), samples.tolist(), code.tolist(), strict=True):
            codes[model][sample] = one == Code.BREACHED
    return codes


def _of(columns: list[Floats], models: Times, samples: Times) -> Floats:
    return np.array([columns[model][sample] for model, sample in zip(models.tolist(), samples.tolist(), strict=True)])


def _slots(found: list[Piece]) -> Iterator[tuple[int, Times, Times]]:
    """Yield each slot with the indices of the pieces, and of their samples."""
    at = np.concatenate([piece.at for piece in found])
    model = np.concatenate([np.full(len(piece.at), number) for number, piece in enumerate(found)])
    sample = np.concatenate([np.arange(len(piece.at)) for piece in found])
    order = np.lexsort((model, at))
    at, model, sample = at[order], model[order], sample[order]
    edges = np.flatnonzero(np.diff(at)) + 1
    for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(at)], strict=True):
        yield int(at[begin]), model[begin:end], sample[begin:end]


def rolling_z(piece: Piece, width: int = 100) -> Floats:
    """Return z of each sample against the `width` samples before."""
    x = piece.shown()
    sums = [np.concatenate([[0.0], np.cumsum(column)]) for column in (x - x.mean(), (x - x.mean()) ** 2)]
    at = np.arange(len(x))
    low = np.maximum(at - width, 0)
    n = np.maximum(at - low, 1)
    mean, square = (column[at] - column[low] for column in sums)
    spread = np.sqrt(np.maximum(square / n - (mean / n) ** 2, 1e-12))
    z = np.where(at - low >= 30, (x - x.mean() - mean / n) / spread, 0.0)
    return np.abs(z) if piece.event == "custom" else z


def static(piece: Piece) -> Floats:
    """Return the distance from the median of a week, in units of that to its 99.5th percentile."""
    x = piece.shown()
    learnt = piece.at - piece.at[0] < WEEK
    middle, low, high = np.percentile(x[learnt], [50, 0.5, 99.5])
    up, down = (x - middle) / max(high - middle, 1e-6), (middle - x) / max(middle - low, 1e-6)
    score = np.maximum(up, down) if piece.event == "custom" else up
    return np.where(learnt, 0.0, score)


SIMPLE = {"rolling z, 100 samples": rolling_z, "static p99.5": static}


# ---------------------------------------------------------------- counting


def requests(piece: Piece, breached: Bools) -> Times:
    """Return the times at which a piece becomes breached, a cooldown after the last request."""
    begins = breached & ~np.concatenate([[False], breached[:-1]])
    kept: list[int] = []
    for at in piece.at[begins].tolist():
        if not kept or at - kept[-1] >= COOLDOWN:
            kept.append(at)
    return np.array(kept, np.int64)


def quarters(found: Sequence[Piece]) -> float:
    """Return the model-quarters of pieces."""
    return float(sum(int(piece.at[-1] - piece.at[0]) for piece in found)) / (90 * DAY)


def limit_at(found: Sequence[Piece], scores: Sequence[Floats], count: int) -> float:
    """Return the lowest limit, within a hundredth, with at most `count` requests."""
    low, high = 0.5, 1e4
    while high / low > 1.01:
        middle = float(np.sqrt(low * high))
        total = sum(len(requests(piece, score > middle)) for piece, score in zip(found, scores, strict=True))
        low, high = (low, middle) if total <= count else (middle, high)
    return high


# ---------------------------------------------------------------- planted changes


def planted(found: Sequence[Piece], rng: np.random.Generator) -> tuple[list[Piece], list[Plant]]:
    """Return copies of the first days of pieces, each with one change (or two, a day apart), and the changes."""
    copies: list[Piece] = []
    plants: list[Plant] = []
    for piece in found:
        short = beginning(piece)
        whole = int(short.at[-1] - short.at[0])
        if whole < 20 * DAY:
            continue
        for change, (shape, length) in SHAPES.items():
            for size in SIZES[piece.event]:
                early, late = (9 * HOUR, DAY - length) if change == "first day" else (14 * DAY, whole - DAY - length)
                signed = size * (rng.choice([-1, 1]) if piece.event == "custom" else 1)
                begin = int(short.at[0]) + int(rng.integers(early, late))
                changed = plant(short, short, shape, begin, length, signed, rng)
                if change == "next day":
                    begin += DAY
                    changed = plant(changed, short, shape, begin, length, signed, rng)
                if ((short.at >= begin) & (short.at < begin + length)).any():
                    plants.append(Plant(len(copies), change, size, begin, begin + length))
                    copies.append(changed)
    return copies, plants


def beginning(piece: Piece) -> Piece:
    """Return the first PLANT_DAYS days of a piece."""
    first = piece.at - piece.at[0] < PLANT_DAYS * DAY
    total = None if piece.total is None else piece.total[first]
    return replace(piece, at=piece.at[first], values=piece.values[first], total=total)


def spread(piece: Piece) -> float:
    """Return the robust standard deviation around the median of each hour of the day."""
    hour = piece.at // HOUR % 24
    rest = piece.values.copy()
    for each in np.unique(hour):
        rest[hour == each] -= np.median(piece.values[hour == each])
    robust = 1.4826 * float(np.median(np.abs(rest)))
    return robust if robust > 0 else float(rest.std())


def plant(
    piece: Piece, before: Piece, shape: str, start: int, length: int, size: float, rng: np.random.Generator
) -> Piece:
    """Return a piece with a change: a factor on latencies and odds of errors, otherwise a number of spreads."""
    inside = (piece.at >= start) & (piece.at < start + length)
    effect = np.where(inside, (piece.at - start) / length if shape == "ramp" else 1.0, 0.0)
    if piece.total is not None:
        good = np.maximum(piece.total - piece.values, 0.0)
        share = float(before.values.sum() / before.total.sum())  # type: ignore[union-attr]
        odds = share / (1 - share) * size**effect
        more = np.maximum(odds / (1 + odds) - share, 0.0) / (1 - share)
        return replace(piece, values=piece.values + rng.binomial(good.astype(np.int64), more))
    if piece.event == "latency":
        return replace(piece, values=piece.values * size**effect)
    values = piece.values + effect * size * spread(before)
    if piece.event == "drift":
        values = np.where(inside, np.clip(values, 0.0, 1.0), values)
    return replace(piece, values=values)


def detected(copies: Sequence[Piece], plants: Sequence[Plant], breached: Sequence[Bools]) -> list[bool]:
    """Return for each plant whether a request falls into it."""
    result = []
    for each in plants:
        piece = copies[each.piece]
        at = requests(piece, breached[each.piece])
        late = each.end + max(2 * SLOT, int(np.median(np.diff(piece.at))))
        result.append(bool(((at >= each.start) & (at <= late)).any()))
    return result


# ---------------------------------------------------------------- report


def compare(found: Sequence[Piece], rng: np.random.Generator) -> dict[str, dict[str, object]]:
    """Return requests per model and quarter, and detected changes, of `auto` and of the simple detectors."""
    copies, plants = planted(found, rng)
    whole, result = quarters(found), {}
    for name in ("auto", *SIMPLE):
        if name == "auto":
            alarms, changed = auto(found), auto(copies)
            most = counted(found, alarms)
        else:
            scores = [SIMPLE[name](piece) for piece in found]
            limit = limit_at(found, scores, most)
            alarms = [score > limit for score in scores]
            changed = [SIMPLE[name](piece) > limit for piece in copies]
        hits = detected(copies, plants, changed)
        by_change = {
            change: sum(hit for hit, each in zip(hits, plants, strict=True) if each.change == change)
            for change in SHAPES
        }  # fmt: skip
        result[name] = {
            "requests_per_quarter": round(counted(found, alarms) / whole, 2), "detected": sum(hits),
            "planted": len(hits), "by_change": by_change,
        }  # fmt: skip
    return result


def counted(found: Sequence[Piece], alarms: Sequence[Bools]) -> int:
    """Return the number of requests."""
    return sum(len(requests(piece, breached)) for piece, breached in zip(found, alarms, strict=True))


def main() -> None:
    """Print a line for each kind of signal and detector, and the summary last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--days", type=int, default=84)
    parser.add_argument("--segments", type=int, default=3)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"seed {seed}")
    found, result = read(options.data, options.days, options.segments), {}
    for event in EVENTS:
        chosen = [piece for piece in found if piece.event == event]
        if chosen:
            result[event] = compare(chosen, np.random.default_rng(seed))
            for name, one in result[event].items():
                print(f"{event} ({len(chosen)} models), {name}: {one}", flush=True)
    print(json.dumps({"seed": seed, "models": len(found), "real": result}))


if __name__ == "__main__":
    main()
