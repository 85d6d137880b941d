"""Benchmark of the tick in which every model is breached for the first time, in one process.

    python -m benchmarks.breaches [--models 100000] [--rules 1] [--expr] [--profile FILE]

Engine, rules, routes and store (SQLite) are those of the bridge; the source is in memory. CPU is that of the process.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.peers import Scenario, ours, rss_mb
from bridge.app.memory import collect_rarely, exclude_start, keep_large_buffers
from bridge.app.routing import Routes, build_sinks
from bridge.config.load import load
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import SignalQuery
from bridge.domain.times import Timestamp
from bridge.engine.access import EngineSettings
from bridge.engine.engine import Engine
from bridge.engine.evaluation.trail import Trails
from bridge.store.sql import SqlStore
from tests.support.world import ScriptedSource


class Constant(ScriptedSource):
    """Source that answers one value for all models, as Prometheus labels them."""

    def __init__(self, table: ModelTable, models: int) -> None:
        super().__init__(table)
        keys = [ModelKey(f"p{number % 20}", f"pipeline-{number}", "1") for number in range(models)]
        self.index = np.array([table.row(key) for key in keys], np.int32)
        self.labels = [json.dumps({"__name__": "model_drift_score", **key.labels()}).encode() for key in keys]
        self.drift, self.limited = 0.1, False

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: int | None = None) -> EventBatch:
        """Return a batch; for a plain expression only what is above its limit."""
        count = 0 if self.limited and self.drift < 0.6 else len(self.index)
        values = self.drift + np.arange(count) / len(self.index) / 10
        return EventBatch(
            query.name, query.event, slot, self.table, self.index[:count], {"value": values}, unit_ms=query.unit_ms,
            series=self.labels[:count], elements=count,
        )  # fmt: skip


def measured(models: int, rules: int, *, signal: bool, profile: Path | None = None) -> dict[str, float]:
    """Return CPU seconds and memory of the first tick with breaches, of the one before it and of the one after."""
    keep_large_buffers()
    scenario = Scenario("", 1.0, signal=signal, rules=rules, models=models, interval=60)
    side = ours(scenario, "http://127.0.0.1:9", "http://127.0.0.1:9")
    config = load(side.program.folder / "bridge.yml")
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore.open_sqlite(Path(folder) / "bridge.db")
        table = ModelTable()
        source = Constant(table, models)
        source.limited = not signal
        engine = Engine(source, store, table, trails=Trails())
        engine.start(0)
        routes = Routes(config.route, build_sinks(config, "http://bridge", store), {})
        engine.configure(config.groups, EngineSettings(routes, config.gates))
        now = config.groups[0].slot_at(1_800_000_000_000)
        collect_rarely()
        exclude_start()
        result: dict[str, float] = {}
        for name, drift in (("start", 0.1), ("healthy", 0.1), ("first", 0.7), ("next", 0.7)):
            source.drift, now = drift, now + 60_000
            profiler = cProfile.Profile() if profile and name == "first" else None
            began = time.process_time()
            if profiler is not None:
                profiler.enable()
            engine.evaluate("g", now)
            if profiler is not None:
                profiler.disable()
                profiler.dump_stats(str(profile))
            result[f"{name}_s"] = round(time.process_time() - began, 3)
            result[f"{name}_rss_mb"] = round(rss_mb(os.getpid()))
        result["peak_mb"] = round(rss_mb(os.getpid(), peak=True))
        result["requests"] = len(engine._index.requests)
        store.close()
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--rules", type=int, default=1)
    parser.add_argument("--expr", action="store_true", help="plain expressions instead of a signal")
    parser.add_argument("--profile", type=Path, help="write cProfile's statistics of the tick there")
    args = parser.parse_args()
    print(json.dumps(measured(args.models, args.rules, signal=not args.expr, profile=args.profile)))


if __name__ == "__main__":
    main()
