"""Twenty thousand damaged bodies: whatever a server sends, it is used, counted or refused, and never crashes us."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.domain.batch import EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import SignalQuery
from bridge.sources.columns import Column
from bridge.sources.config import PrometheusConfig
from bridge.sources.decode import samples
from bridge.sources.matrix import Grid, matrix
from bridge.sources.reading import Reader

BODIES = 20_000
QUERY = SignalQuery("fuzz", EventKind.CUSTOM, {"value": "x", "buckets": "y"})
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
    if rng.random() < 0.5:
        metric["le"] = rng.choice(["1", "2.5", "1e1", "+Inf"])
    number = rng.choice(["1", "0.25", "-3e9", "NaN", "+Inf", "-Inf"])
    if rng.random() < 0.1:
        native: dict[str, Any] = {"count": "1", "sum": "1", "buckets": [[3, "-1", "1", "1"]]}
        if kind == "vector":
            return {"metric": metric, "histogram": [1794182400, native]}
        return {"metric": metric, "histograms": [[1794182400, native]]}
    if kind == "vector":
        return {"metric": metric, "value": [1794182400.5, number]}
    times = sorted(rng.sample(range(4), rng.randint(1, 4)))
    return {"metric": metric, "values": [[1794182400 + 60 * index, number] for index in times]}


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
    index = rng.randrange(len(data))
    match rng.randrange(4):
        case 0:
            del data[index:]
        case 1:
            data[index] = rng.randrange(256)
        case 2:
            del data[index : index + rng.randint(1, 9)]
        case _:
            data[index:index] = rng.choice([b"\xff", b'"', b"{", b"]", b"\\", b"[" * 3000, b"\0", b"1e999"])
    return bytes(data)


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


class Answering:
    """Stands where the HTTP side stands: every question is answered by `body`."""

    config = PrometheusConfig(url="http://prometheus.test")
    timeout = 1.0
    body = b""

    def query(self, path: str, params: object, ends: float, *_: float, shorter: bool = False) -> bytes:
        return self.body


def read_instant(reader: Reader, column: str) -> Refused:
    """As an instant query of a plain or a bucket column; the promise on counts is checked here."""
    try:
        found = reader.at_instant(QUERY, column, GRID.start, 0.0)
    except SourceError as error:
        return error.reason
    check(found)
    return ""


def read_range(reader: Reader, column: str) -> Refused:
    """As a range query: the promise holds at every point."""
    try:
        grid_column = reader.over(QUERY, column, GRID, 0.0)
        for point in range(GRID.count):
            check(reader.at_point(QUERY, grid_column, point))
    except SourceError as error:
        return error.reason
    return ""


def check(found: Column) -> None:
    """elements = used + skipped; every model once, in order; buckets ascend."""
    used, skipped = len(found.index), sum(found.skipped.values())
    if found.bounds is None:
        assert found.elements == used + skipped
    else:  # a classic bucket is an element, and so is a native histogram with all of its buckets
        assert used + skipped <= found.elements
        assert not (found.values[:, 1:] < found.values[:, :-1]).any()
    assert len(found.series) == len(found.values) == len(found.index)
    assert bool((np.diff(found.index) > 0).all())
    assert all(count > 0 for count in found.skipped.values())


def test_no_body_crashes_the_source_and_every_element_is_accounted_for() -> None:
    """20,000 mutated bodies, most of them JSON with structural damage: SourceError or elements = used + skipped."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    api = Answering()
    reader = Reader(api, ModelTable())  # type: ignore[arg-type]
    outcomes: Counter[str] = Counter()
    structural = 0
    for _ in range(BODIES):
        kind, tree = answer(rng)
        sound = json.dumps(tree).encode()
        api.body = damaged_tree(rng, tree) if rng.random() < 0.9 else damaged_bytes(rng, sound)
        structural += api.body != sound and is_json(api.body)
        read = read_range if kind == "matrix" else read_instant
        try:
            outcomes[read(reader, rng.choice(["value", "buckets"]))] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} for {api.body!r}") from error
    print(f"{BODIES} bodies, {structural} JSON with structural damage, outcomes {dict(outcomes)}")
    assert structural >= 0.8 * BODIES
    assert outcomes[""] > 0.3 * BODIES
    assert set(outcomes) <= {"", "not_prometheus", "network", "bad_data", "internal", "duplicate_model"}


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
