"""Histograms in a real Prometheus: one whose shape drifts is asked for once, in words of its unit."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path

import numpy as np
import pytest

from bridge.authoring.backtest.backtest import of_config
from bridge.domain.batch import EventKind
from bridge.domain.model import ModelTable
from bridge.domain.request import RequestRecord
from bridge.domain.rule import SignalQuery, StrategySpec
from bridge.domain.times import HOUR, MINUTE, parse_rfc3339
from bridge.domain.verdict import Code
from bridge.engine.replay.replay import Replay
from bridge.ports import TickChanges
from bridge.sources.prometheus import PrometheusConfig, PrometheusSource
from bridge.strategies.registry import build
from tests.support.bridge import REMOTE_WRITE, Json, bridge, whole_second
from tests.support.processes import wait_until
from tests.support.receiver import Receiver
from tests.support.remote_write import remote_write
from tests.support.servers import prometheus

INTERVAL = 15_000
EACH = 120  # observations between two scrapes: shares and means of ten minutes hardly vary by chance
BOUNDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, np.inf)
PIPELINES = ("fraud", "ranking", "search")
SLOWER = "fraud"
BY = "project, pipeline, version"
Points = list[tuple[int, float]]


def rules() -> Json:
    """The middle of the last ten minutes against the same an hour before."""
    increase = "(increase(m_seconds_{}[$window]{}))"
    signal = {
        "event": "latency", "unit": "seconds", "window": "10m",
        "buckets": f"sum by ({BY}, le) {increase.format('bucket', '')}",
        "reference": f"sum by ({BY}, le) {increase.format('bucket', ' offset 1h')}",
        "sum": f"sum by ({BY}) {increase.format('sum', '')}",
        "reference_sum": f"sum by ({BY}) {increase.format('sum', ' offset 1h')}",
    }  # fmt: skip
    one = {"retrain": "OtherShape", "signal": "answers", "strategy": {"chi_square": {}}}
    return {"groups": [{"name": "serving", "interval": "15s", "signals": {"answers": signal}, "rules": [one]}]}


def counters(draw: np.random.Generator, at: range, slower_from: int) -> list[tuple[dict[str, str], Points]]:
    """Buckets and sums of latencies around 150 ms; those of one pipeline become 40 % slower."""
    series: list[tuple[dict[str, str], Points]] = []
    times = np.array(at)
    for pipeline in PIPELINES:
        factor = np.where((pipeline == SLOWER) & (times >= slower_from), 1.4, 1.0)
        seconds = 0.15 * np.exp(0.5 * draw.standard_normal((len(times), EACH))) * factor[:, None]
        labels = {"project": "shop", "pipeline": pipeline, "version": "1"}
        for bound in BOUNDS:
            counts = (seconds <= bound).sum(axis=1).cumsum()
            le = "+Inf" if bound == np.inf else str(bound)
            series.append(({"__name__": "m_seconds_bucket", **labels, "le": le}, _points(times, counts)))
        series.append(({"__name__": "m_seconds_sum", **labels}, _points(times, seconds.sum(axis=1).cumsum())))
    return series


def _points(times: np.ndarray, values: np.ndarray) -> Points:
    return list(zip(times.tolist(), values.astype(float).tolist(), strict=True))


@pytest.mark.timeout(1200)
def test_a_histogram_whose_shape_drifts_is_one_request_in_its_unit() -> None:
    """Latencies that became 40 % slower twenty minutes ago; two other models are as ever. A replay finds the same."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    now = whole_second()
    at = range(now - 2 * HOUR, now + 10 * MINUTE, INTERVAL)
    with prometheus(flags=[REMOTE_WRITE]) as source, Receiver() as hook:
        remote_write(source.url, counters(np.random.default_rng(seed), at, now - 20 * MINUTE))
        with bridge(source.url, rules(), {"webhook_configs": [{"url": hook.url}]}) as process:
            process.start()
            wait_until(lambda: process.requests(), 60, "the request for the slower model")
            process.wait_slot(process.stored_slot() + INTERVAL, 60)
            (asked,) = process.requests()
            explained = process.api("explain?project=shop&pipeline=ranking&version=1")["explanations"][0]
            plan = of_config(process.config_file)
        table, replayed = ModelTable(), dict[str, RequestRecord]()

        def take(changes: TickChanges) -> None:
            replayed.update({record.id: record for record in changes.requests})

        begins = parse_rfc3339(asked["episode_start"])
        with contextlib.closing(plan.source(table)) as history:
            replay = Replay(history, table, plan.groups, take, gates=plan.gates)
            assert sum(1 for _ in replay.walk(begins, begins + INTERVAL)) == 2
            replay.close()
    print(asked["reason"], explained["answer"], sep="\n")
    assert asked["pipeline"] == SLOWER
    found = re.fullmatch(
        r"OtherShape: mean of latency answers \+(\d+\.?\d*) ms, (\d+) ms instead of (\d+) ms; chi-square [\d.]+"
        r" \(df [789]\), p [\de.-]+ \(limit 0\.0001\); (\d\d\.?\d*) % of observations in different buckets"
        r" \(limit 10 %\); (\d+) observations, (\d+) in the reference",
        asked["reason"],
    )
    assert found, asked["reason"]
    rise, after, before, moved, n, m = map(float, found.groups())
    assert 50 < rise < 85  # 1.4 times a mean of 170 ms
    assert abs(after - before - rise) <= 2
    assert 20 < moved < 35
    assert 4720 <= n <= 4920  # 40 scrapes of 120
    assert 4720 <= m <= 4920
    assert [record.request.reason for record in replayed.values()] == [asked["reason"]]
    assert set(replayed) == {asked["id"]}
    # its mean in the signal's unit, the share that moved, and the limit of the share
    assert re.fullmatch(r"verdict: ok: answers 0\.1[67]\d*, statistic 0\.0\d+, limit 0\.1", explained["answer"])
    assert len(explained["repeat"]) == 4


def test_native_histograms_are_compared_as_classic_ones(tmp_path: Path) -> None:
    """Buckets that Prometheus keeps by itself, now and five minutes before; a past slot reads as it did then."""
    at = range(1_700_000_000_000, 1_700_000_000_000 + 40 * INTERVAL, INTERVAL)
    labels = {"__name__": "n_seconds", "project": "shop", "pipeline": "ranking", "version": "1"}
    seen, native = np.zeros(4, int), []
    for index, instant in enumerate(at):
        seen = seen + ([10, 20, 0, 30] if index < 20 else [30, 20, 0, 10])
        native.append((labels, instant, seen.tolist()))
    exprs = {
        "buckets": f"sum by ({BY}) (increase(n_seconds[5m]))",
        "reference": f"sum by ({BY}) (increase(n_seconds[5m] offset 5m))",
    }
    query = SignalQuery("answers", EventKind.CUSTOM, exprs)
    with prometheus(flags=[REMOTE_WRITE, "--enable-feature=native-histograms"]) as server:
        remote_write(server.url, [], native)
        config = PrometheusConfig(url=server.url)
        with contextlib.closing(PrometheusSource(config, ModelTable(), tmp_path)) as source:
            present = source.instant(query, at[-1], at[-1])
            slots = [at[-3], at[-2], at[-1]]
            past = list(source.history(query, slots, 0))
    assert present.bounds is not None
    assert present.bounds.tolist() == [0.5, 1.0, 2.0, 4.0, 8.0, np.inf]
    now, before = (present.columns[name][0] for name in ("buckets", "reference"))
    assert (now / now[-1]).round(2).tolist() == [0.0, 0.5, 0.83, 0.83, 1.0, 1.0]
    assert 1140 <= now[-1] <= 1200
    assert (before / before[-1]).round(2).tolist() == [0.0, 0.17, 0.5, 0.5, 1.0, 1.0]
    assert (present.elements, dict(present.skipped)) == (2, {})
    for name in exprs:
        assert np.array_equal(past[-1].columns[name], present.columns[name], equal_nan=True)
    assert [batch.elements for batch in past] == [2, 2, 2]
    strategy = build(StrategySpec("chi_square", {}))
    verdicts = strategy.analyse_batch(present, None)
    print(strategy.describe(present, 0, verdicts))
    assert verdicts.code.tolist() == [Code.BREACHED]
