"""A seasonal reference out of a real Prometheus: asked for once, kept over a kill, and the same in a backtest."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from bridge.authoring.backtest.backtest import of_config
from bridge.domain.model import ModelTable
from bridge.domain.request import RequestRecord
from bridge.domain.times import DAY, HOUR, MINUTE, parse_rfc3339
from bridge.engine.replay.replay import Replay
from bridge.ports import TickChanges
from tests.support.bridge import REMOTE_WRITE, Json, bridge, whole_second
from tests.support.processes import wait_until
from tests.support.receiver import Receiver
from tests.support.remote_write import remote_write
from tests.support.servers import prometheus

INTERVAL = 15_000
PIPELINES = ("ranking", "search", "fraud")
SLOWER = "fraud"


def rules() -> Json:
    standardise = {"season": "day", "warm_up": "1h", "history": "26h"}
    one = {"retrain": "Slower", "signal": "p95", "strategy": {"seasonal_cusum": {"standardise": standardise}}}
    signals = {"p95": {"event": "latency", "unit": "seconds", "expr": "m_p95"}}
    return {"groups": [{"name": "serving", "interval": "15s", "signals": signals, "rules": [one]}]}


def latencies(
    draw: np.random.Generator, since: int, until: int, slower_from: int
) -> dict[str, list[tuple[int, float]]]:
    """A p95 that doubles between night and day, a sample every 15 s; one is 50 % slower from some instant on."""
    at = np.arange(since, until, INTERVAL)
    found = {}
    for pipeline in PIPELINES:
        wave = 0.2 * np.exp(0.35 * np.sin(2 * np.pi * at / DAY) + 0.05 * draw.standard_normal(len(at)))
        values = wave * np.where((pipeline == SLOWER) & (at >= slower_from), 1.5, 1.0)
        found[pipeline] = list(zip(at.tolist(), values.tolist(), strict=True))
    return found


def labels(pipeline: str) -> dict[str, str]:
    return {"project": "shop", "pipeline": pipeline, "version": "1"}


def open_metrics(samples: dict[str, list[tuple[int, float]]]) -> str:
    lines = ["# TYPE m_p95 gauge"]
    for pipeline, points in samples.items():
        told = ",".join(f'{name}="{value}"' for name, value in labels(pipeline).items())
        lines += [f"m_p95{{{told}}} {value!r} {at / 1000}" for at, value in points]
    return "\n".join(lines) + "\n# EOF\n"


def range_starts(query_log: Path) -> list[int]:
    """Return where each range query that Prometheus has answered began, in ms, in the order of its query log."""
    asked = [json.loads(line) for line in query_log.read_text().splitlines()]
    return [
        parse_rfc3339(item["params"]["start"]) for item in asked if item["httpRequest"]["path"].endswith("/query_range")
    ]


@pytest.mark.timeout(1200)
def test_the_history_is_requested_once_and_gives_what_a_backtest_gives(tmp_path: Path) -> None:
    """A model has been slower for 20 minutes when the bridge starts for the first time: its first words name it."""
    now = whole_second()
    samples = latencies(np.random.default_rng(3), now - 27 * HOUR, now + 40 * MINUTE, now - 20 * MINUTE)
    past = {name: [point for point in points if point[0] < now - MINUTE] for name, points in samples.items()}
    rest = {name: [point for point in points if point[0] >= now - MINUTE] for name, points in samples.items()}
    log = tmp_path / "queries.log"
    config = json.dumps({"global": {"query_log_file": str(log)}})
    with prometheus(config, flags=[REMOTE_WRITE], history=open_metrics(past)) as source, Receiver() as hook:
        remote_write(source.url, [({"__name__": "m_p95", **labels(name)}, points) for name, points in rest.items()])
        with bridge(source.url, rules(), {"webhook_configs": [{"url": hook.url}]}) as process:
            process.start()
            wait_until(process.requests, 600, lambda: f"the request for the slower model\n{process.api('rules')}")
            (asked,) = process.requests()
            process.kill()
            cold = range_starts(log)
            process.start()
            slot = process.stored_slot()
            process.wait_slot(slot + INTERVAL, 300)
            warm = range_starts(log)[len(cold) :]
            causes = {item["after"] for item in process.decisions() if parse_rfc3339(item["slot"]) > slot}
            plan = of_config(process.config_file)
        table, replayed = ModelTable(), dict[str, RequestRecord]()

        def take(changes: TickChanges) -> None:
            replayed.update({record.id: record for record in changes.requests})

        begins = parse_rfc3339(asked["episode_start"])
        with contextlib.closing(plan.source(table)) as history:
            replay = Replay(history, table, plan.groups, take, gates=plan.gates)
            assert sum(1 for _ in replay.walk(begins, begins + INTERVAL)) == 2
            replay.close()
    print(asked["reason"], cold, warm, causes)
    assert asked["pipeline"] == SLOWER
    assert re.fullmatch(
        r"Slower: latency p95 [\d.]+ ms is [\d.]+ robust sigmas above its usual [\d.]+ ms for \d\d:\d\d"
        r" \(CUSUM [\d.]+, limit 12\)", asked["reason"],
    )  # fmt: skip
    assert min(cold) <= now - 25 * HOUR
    assert all(start >= begins for start in warm)  # slots that the restart missed, and none of the history before them
    assert not any("warming_up" in cause for cause in causes)
    assert set(replayed) == {asked["id"]}
