"""Twenty thousand damaged bodies: whatever a server sends, it is used, counted or refused, and never crashes us."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import ModelLabels
from bridge.sources.decode import samples
from bridge.sources.mapping import SeriesIndex
from bridge.sources.matrix import Grid, matrix

BODIES = 20_000
GRID = Grid(1_794_182_400_000, 60_000, 4)
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", "NaN", "+Inf", "1_0", "\0", "\ud83d\ude00", "9" * 400, [], {}, [[]],
    [None], {"a": 1}, [1, "2"], ["2", 1], [[1, "2"]], {"metric": {}}, "<html>", "1794182400", [1794182400, "5"],
)  # fmt: skip
Refused = str


def element(rng: random.Random, kind: str) -> dict[str, Any]:
    """One sound series."""
    metric = {
        "__name__": "drift",
        "project": f"p{rng.randrange(4)}",
        "pipeline": "fraud",
        "version": f"v{rng.random()}",
    }
    if rng.random() < 0.15:
        del metric[rng.choice(sorted(metric))]
    number = rng.choice(["1", "0.25", "-3e9", "NaN", "+Inf", "-Inf"])
    if rng.random() < 0.1:
        native: dict[str, Any] = {"count": "1", "sum": "1", "buckets": [[3, "-1", "1", "1"]]}
        if kind == "vector":
            return {"metric": metric, "histogram": [1794182400, native]}
        return {"metric": metric, "histograms": [[1794182400, native]]}
    if kind == "vector":
        return {"metric": metric, "value": [1794182400.5, number]}
    times = sorted(rng.sample(range(4), rng.randint(1, 4)))
    return {"metric": metric, "values": [[1794182400 + 60 * place, number] for place in times]}


def answer(rng: random.Random) -> tuple[str, Any]:
    """A sound body of /api/v1/query (vector, scalar) or /api/v1/query_range (matrix)."""
    kind = rng.choice(["vector", "vector", "matrix", "matrix", "scalar"])
    result: Any = [1794182400, "1"] if kind == "scalar" else [element(rng, kind) for _ in range(rng.randrange(6))]
    body: dict[str, Any] = {"status": "success", "data": {"resultType": kind, "result": result}}
    if rng.random() < 0.2:
        body["warnings"] = ["a store is down"]
    if rng.random() < 0.1:
        body["infos"] = ["a hint"]
    return kind, body


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    found: list[tuple[Any, Any]] = []
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        found.append((tree, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


def drop(rng: random.Random, holder: Any, key: Any) -> None:
    del holder[key]


def replace(rng: random.Random, holder: Any, key: Any) -> None:
    holder[key] = copy.deepcopy(rng.choice(ODD))


def wrap(rng: random.Random, holder: Any, key: Any) -> None:
    holder[key] = rng.choice([[holder[key]], {"x": holder[key]}, str(holder[key])])


def double(rng: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder["extra"] = copy.deepcopy(holder[key])


def rename(rng: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(["metric", "value", "values", "histogram", "result", "le", "x"])] = holder.pop(key)
    else:
        holder.reverse()


DAMAGES: tuple[Callable[[random.Random, Any, Any], None], ...] = (drop, replace, replace, wrap, double, rename)


def damaged_tree(rng: random.Random, tree: Any) -> bytes:
    """The body with one to three of its parts damaged: still JSON."""
    for _ in range(rng.randint(1, 3)):
        where = places(tree)
        if where:
            rng.choice(DAMAGES)(rng, *rng.choice(where))
    return json.dumps(tree, separators=rng.choice([(",", ":"), (", ", ": ")])).encode()


def damaged_bytes(rng: random.Random, body: bytes) -> bytes:
    """The body cut, or with some bytes changed, dropped or put in: mostly no JSON any more."""
    data = bytearray(body)
    place = rng.randrange(len(data))
    match rng.randrange(4):
        case 0:
            del data[place:]
        case 1:
            data[place] = rng.randrange(256)
        case 2:
            del data[place : place + rng.randint(1, 9)]
        case _:
            data[place:place] = rng.choice([b"\xff", b'"', b"{", b"]", b"\\", b"[" * 3000, b"\0", b"1e999"])
    return bytes(data)


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def read_instant(body: bytes, index: SeriesIndex) -> Refused:
    """Decode as an instant query; the promise on counts is checked here."""
    try:
        found = samples(body)
    except SourceError as error:
        return error.reason
    layout = index.arrange(found.metrics, "fuzz")
    skipped = sum(found.skipped.values()) + sum(layout.skipped().values())
    assert found.elements == len(layout.rows) + skipped, body
    assert len(found.values) == len(found.metrics), body
    return ""


def read_range(body: bytes, index: SeriesIndex) -> Refused:
    """Decode as a range query; every present cell has a series and every series a present cell."""
    try:
        found = matrix(body, GRID)
    except SourceError as error:
        return error.reason
    layout = index.arrange(found.metrics, "fuzz over time")
    assert len(found.metrics) == len(layout.rows) + sum(layout.skipped().values()), body
    assert found.present.shape == found.values.shape == (len(found.metrics), GRID.count), body
    assert bool(found.present.any(axis=1).all()), body
    assert bool(np.isnan(found.values[~found.present]).all()), body
    assert bool((found.histograms >= 0).all()), body
    return ""


def test_no_body_crashes_the_source_and_every_element_is_accounted_for() -> None:
    """20,000 mutated bodies, most of them JSON with structural damage: SourceError or elements = used + skipped."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    index = SeriesIndex(ModelLabels(), ModelTable())
    outcomes: Counter[str] = Counter()
    structural = 0
    for _ in range(BODIES):
        kind, tree = answer(rng)
        sound = json.dumps(tree).encode()
        body = damaged_tree(rng, tree) if rng.random() < 0.9 else damaged_bytes(rng, sound)
        structural += body != sound and is_json(body)
        read = read_range if kind == "matrix" else read_instant
        outcomes[read(body, index)] += 1
    print(f"{BODIES} bodies, {structural} JSON with structural damage, outcomes {dict(outcomes)}")
    assert structural >= 0.8 * BODIES
    assert outcomes[""] > 0.3 * BODIES
    assert set(outcomes) <= {"", "not_prometheus", "network", "bad_data", "internal"}


def test_sound_bodies_lose_nothing() -> None:
    """Without damage no element is malformed, so the counts above are those of the damage."""
    rng = random.Random(7)
    total = 0
    for _ in range(500):
        kind, tree = answer(rng)
        body = json.dumps(tree, separators=(",", ":")).encode()
        if kind == "matrix":
            assert matrix(body, GRID).malformed == 0
        else:
            found = samples(body)
            assert "malformed" not in found.skipped
            total += len(found.metrics)
    assert total > 400
