"""The source against a real Prometheus: what it asks is understood, and the past reads as the present did."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path

import pytest

from bridge.domain.batch import EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import LabelRef, ModelLabels, SignalQuery
from bridge.engine.api.signal_history import of_model
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from tests.support.batches import plain
from tests.support.remote_write import STALE, Series, remote_write
from tests.support.servers import Prometheus, prometheus

STEP = 15_000
SLOTS = 120
OFFSET = 30_000
END = int(time.time()) // 60 * 60_000 - 60_000
START = END - (SLOTS - 1) * STEP
CONSTANT = ModelLabels(LabelRef(const="lab"), LabelRef(const="fraud"), LabelRef(const="3"))


def labels(name: str, version: int, **more: str) -> dict[str, str]:
    return {"__name__": name, "project": "shop", "pipeline": "fraud", "version": f"v{version}", **more}


def drifting(rng: random.Random) -> list[Series]:
    """Series that come and go, with every number that Prometheus can hold, and one that lacks a label."""
    series: list[Series] = []
    for version in range(12):
        first, last = sorted(rng.sample(range(SLOTS), 2)) if version % 2 else (0, SLOTS)
        samples = []
        for index in range(first, last):
            at = START - OFFSET + index * STEP + rng.choice([-4_321, -1, 0, 1])
            value = rng.choice([rng.random(), rng.random() * 1e12, float("nan"), float("inf"), float("-inf"), 0.0])
            if rng.random() < 0.08:
                value = STALE
            if rng.random() < 0.9:
                samples.append((at, value))
        series.append((labels("drift", version), samples))
    lost = {"__name__": "drift", "project": "shop", "version": "v0"}
    return [*series, (lost, [(START - OFFSET + index * STEP, 1.0) for index in range(0, SLOTS, 40)])]


def counting(rng: random.Random) -> list[Series]:
    """Counters of requests and, for some models and from some time on, of errors; buckets of two layouts."""
    series: list[Series] = []
    times = [START - OFFSET + index * STEP for index in range(SLOTS)]
    for version in range(4):
        series.append((labels("requests_total", version), [(at, 10.0 * i) for i, at in enumerate(times)]))
        if version % 2:
            series.append(
                (labels("errors_total", version), [(at, 1.0 * i) for i, at in enumerate(times)][version * 9 :])
            )
        for bound in ("0.1", "0.5", "+Inf") if version else ("0.25", "+Inf"):
            samples = [(at, rng.random() + i) for i, at in enumerate(times)][version * 5 :]
            series.append((labels("seconds_bucket", version, le=bound), samples))
    series.append(({"__name__": "load"}, [(at, 0.5) for at in times]))
    return series


@pytest.fixture(scope="module")
def server() -> Iterator[Prometheus]:
    rng = random.Random(20)
    flags = ["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"]
    with prometheus(flags=flags) as running:
        remote_write(running.url, drifting(rng))
        remote_write(running.url, counting(rng))
        native = [(labels("drift", 99), START - OFFSET + index * STEP) for index in range(10, SLOTS, 30)]
        remote_write(running.url, [], native)
        yield running


@pytest.fixture
def source(server: Prometheus) -> Iterator[PrometheusSource]:
    with closing(PrometheusSource(PrometheusConfig(url=server.url, max_samples=1_000), ModelTable(), Path())) as made:
        yield made


QUERIES = {
    "plain": SignalQuery("drift", EventKind.DRIFT, {"value": "drift"}),
    "filtered": SignalQuery("drift", EventKind.DRIFT, {"value": "drift > 0.5"}),
    "aggregated": SignalQuery("d", EventKind.DRIFT, {"value": "max by (project, pipeline, version) (drift)"}),
    "error rate": SignalQuery(
        "errors", EventKind.INFERENCE_ERROR,
        {"errors": "increase(errors_total[1m])", "total": "increase(requests_total[1m])"},
    ),
    "buckets": SignalQuery("seconds", EventKind.CUSTOM, {"buckets": "seconds_bucket", "n": "requests_total"}),
    "constants": SignalQuery("load", EventKind.CUSTOM, {"value": "load"}, CONSTANT),
    "scalar": SignalQuery("now", EventKind.CUSTOM, {"value": "scalar(load) * 2"}, CONSTANT),
    "@ end()": SignalQuery("drift", EventKind.DRIFT, {"value": "drift @ end() > 0.5"}),
    "@ start()": SignalQuery("drift", EventKind.DRIFT, {"value": "avg_over_time(drift[1m] @ start())"}),
    "one column of two": SignalQuery(
        "errors", EventKind.INFERENCE_ERROR,
        {"errors": "increase(errors_total[1m])", "total": "increase(requests_total[1m] @ end())"},
    ),
    "nothing": SignalQuery("nothing", EventKind.CUSTOM, {"value": "no_such_metric"}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_past_slot_reads_exactly_as_it_did_when_it_was_present(source: PrometheusSource, name: str) -> None:
    """history() equals instant() slot by slot: NaN, Inf, stale markers, series that come and go, histograms."""
    query, slots = QUERIES[name], [START + index * STEP for index in range(SLOTS)]
    past = [plain(batch) for batch in source.history(query, slots, OFFSET)]
    present = [plain(source.instant(query, slot, slot - OFFSET)) for slot in slots]
    assert past == present
    assert len(past) == SLOTS


def test_signals_that_are_walked_side_by_side_read_so_too(source: PrometheusSource) -> None:
    """As a backtest reads them; expressions that differ in a limit at their end are asked once, unless it would lie."""
    exprs = ("drift @ end() > 0.5", "drift @ end() > 0.8", "drift > 0.5", "drift > 0.8")
    queries = [SignalQuery(f"q{n}", EventKind.DRIFT, {"value": expr}) for n, expr in enumerate(exprs)]
    slots = [START + index * STEP for index in range(SLOTS)]
    past: list[list[dict[str, object]]] = [[] for _ in queries]
    for step in zip_longest(*source.chunks(queries, slots, OFFSET)):
        for seen, piece in zip(past, step, strict=True):
            seen.extend(plain(piece.batch(index)) for index in range(len(piece.slots) if piece else 0))
    for query, seen in zip(queries, past, strict=True):
        assert seen == [plain(source.instant(query, slot, slot - OFFSET)) for slot in slots]


def test_the_comparison_above_saw_every_kind_of_sample(source: PrometheusSource) -> None:
    """NaN, both infinities, a native histogram, an unmapped series and a change of models are among the samples."""
    batches = [plain(source.instant(QUERIES["plain"], slot, slot - OFFSET)) for slot in range(START, END + 1, STEP)]
    numbers = " ".join(batch["columns"]["value"] for batch in batches)
    assert all(word in numbers for word in ("nan", " inf", "-inf"))
    assert {reason for batch in batches for reason in batch["skipped"]} == {"histogram", "missing_label"}
    assert len({len(batch["models"]) for batch in batches}) > 4
    errors = plain(source.instant(QUERIES["error rate"], END, END - OFFSET))
    assert sorted(errors["models"]) == ["shop/fraud/v0", "shop/fraud/v1", "shop/fraud/v2", "shop/fraud/v3"]
    assert sorted(errors["columns"]["errors"]) == sorted("[0.0, 0.0, 4.0, 4.0]")
    buckets = source.instant(QUERIES["buckets"], END, END - OFFSET)
    assert buckets.bounds is not None
    assert buckets.bounds.tolist() == [0.1, 0.25, 0.5, float("inf")]


def test_unevenly_spaced_slots_are_read_too(source: PrometheusSource) -> None:
    """A change of the interval in the middle of the past is two walks."""
    slots = [START, START + STEP, START + 2 * STEP, START + 6 * STEP, START + 10 * STEP, START + 11 * STEP]
    past = [plain(batch) for batch in source.history(QUERIES["plain"], slots, OFFSET)]
    assert past == [plain(source.instant(QUERIES["plain"], slot, slot - OFFSET)) for slot in slots]


@pytest.mark.parametrize(
    ("expr", "reason", "says"),
    [
        ("drift{", "bad_data", "unexpected end of input"),
        ("drift[5m]", "bad_data", "last_over_time"),
        ('"text"', "bad_data", "is a string"),
        ("1", "bad_data", "belongs to no model"),
        ("drift + on() group_left() drift", "execution", "many-to-many"),
        ("label_replace(drift, 'version', 'v', '', '')", "execution", "same labelset"),
        ("max by (project, pipeline, version, x) ({__name__=~'drift|requests_total'})", "", ""),
        ("{__name__=~'drift|requests_total'}", "duplicate_model", "requests_total"),
    ],
)
def test_refused_queries_are_source_errors_with_a_reason(
    source: PrometheusSource, expr: str, reason: str, says: str
) -> None:
    """Each error of a real server has its class, and people read its own words."""
    query = SignalQuery("s", EventKind.CUSTOM, {"value": expr})
    if not reason:
        assert len(source.instant(query, END, END)) > 4
        return
    with pytest.raises(SourceError, match=says) as caught:
        source.instant(query, END, END)
    assert caught.value.reason == reason


def test_the_listings_of_the_client_work(source: PrometheusSource) -> None:
    """`check` can see what the server holds."""
    assert source.label_names() == ["__name__", "le", "pipeline", "project", "version"]
    assert source.metric_names() == ["drift", "errors_total", "load", "requests_total", "seconds_bucket"]


def test_the_chart_of_one_model_queries_that_model_only() -> None:
    """Whatever its labels contain; the answer is the one of the whole query."""
    hostile = ModelKey('quo"te', "back\\slash $1", "é\n# 7")
    names = hostile.labels()
    series: list[Series] = [
        ({"__name__": "drift", **names}, [(START + index * STEP, index / SLOTS) for index in range(SLOTS)]),
        *((labels("drift", version), [(START + index * STEP, 9.0) for index in range(SLOTS)]) for version in range(3)),
    ]
    query = SignalQuery("drift", EventKind.DRIFT, {"value": "drift >= 0 # all of them"})
    flags = ["--web.enable-remote-write-receiver"]
    with prometheus(flags=flags) as server:
        remote_write(server.url, series)
        table = ModelTable()
        with closing(PrometheusSource(PrometheusConfig(url=server.url), table, Path())) as source:
            slots = range(START, END + 1, STEP)
            batches = list(source.history(of_model(query, hostile), slots, 0))
    assert table.models == [hostile]
    assert [round(float(batch.values()[0]) * SLOTS) for batch in batches] == list(range(SLOTS))
