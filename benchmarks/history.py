"""Benchmark of a store with a long history: every query, page and API path, scrapes, start, and pruning.

    python -m benchmarks.history [--requests 300000] [--decisions 1000000] [--pipelines 10000]

Queries are measured in this process, the least of five runs; pages, API, scrapes and start with a real bridge that
evaluates as many models as there are pipelines. CPU time, and wall time for the commits beside a pruning. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import MeasuredProgram, Scenario
from benchmarks.reads import HISTORY, MODELS, measured, running
from bridge.app import clock
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Decision,
    Episode,
    Evidence,
    Outcome,
    RecoveryVerdict,
    RequestRecord,
    RequestState,
    RetrainRequest,
    request_id,
)
from bridge.domain.times import DAY, MINUTE, SECOND
from bridge.ports import DecisionFilter, Delivery, Kind, NewDelivery, RequestFilter, Result, Settlement, TickChanges
from bridge.store.sql import SqlStore

SPAN = 30 * DAY
BEGINS = clock.now() // DAY * DAY - SPAN
DESTINATION = "team/alertmanager/0"
RULE = "Drift0"
PORTION = 5_000
STATES = (RequestState.SUCCEEDED, RequestState.CLOSED, RequestState.FAILED)
OUTCOMES = (Outcome.NONE, Outcome.REQUESTED, Outcome.HELD, Outcome.JOINED)


def model_of(number: int, args: argparse.Namespace) -> ModelKey:
    """Return the model of a request or decision, one of those that are evaluated."""
    number %= args.pipelines
    return ModelKey(f"p{number % 20}", f"pipeline-{number}", "1")


def request(number: int, args: argparse.Namespace) -> RequestRecord:
    """Return an ended request; their instants are spread evenly over the span."""
    at = BEGINS + SPAN * number // args.requests
    model = model_of(number, args)
    item = Evidence(RULE, "drift", "drift", "model_drift", 0.93, 0.93, 0.6, "", {})
    id_ = request_id(model, RULE, at, 1)
    made = RetrainRequest(model, "drift 0.93 > 0.6", at, id_, RULE, at, 1, ("drift",), (item,), {}, {})
    state = STATES[number % 3]
    verdict = RecoveryVerdict.RECOVERED if state is RequestState.SUCCEEDED else None
    ended = at + 10 * MINUTE
    return RequestRecord(
        made, state, ended, ("ops",), (DESTINATION,), sent_at=at, ended_at=ended, verdict=verdict, verdict_at=ended
    )


def decision(number: int, args: argparse.Namespace) -> Decision:
    """Return a decision of some model."""
    model = model_of(number, args)
    slot = BEGINS + SPAN * number // args.decisions
    return Decision(slot, "group", RULE, model, OUTCOMES[number % 4], "inactive", "pending", "drift 0.93 > 0.6")


def fill(store: SqlStore, args: argparse.Namespace) -> None:
    """Commit the history."""
    for start in range(0, args.requests, PORTION):
        records = [request(number, args) for number in range(start, min(start + PORTION, args.requests))]
        at = records[0].request.triggered_at
        episodes = [
            Episode(item.request.model, item.request.episode_start, RULE, (RULE,), 1, item.ended_at, "resolved")
            for item in records
        ]
        queued = [NewDelivery(item.id, DESTINATION, Kind.FIRING) for item in records]
        store.commit(TickChanges("group", at, requests=records, episodes=episodes, deliveries=queued, at=at))
        while claims := store.claim(DESTINATION, "benchmark", at, MINUTE, 1000):
            store.settle([Settlement([claim], Delivery(Result.DELIVERED), at, at) for claim in claims])
    for start in range(0, args.decisions, PORTION):
        decisions = [decision(number, args) for number in range(start, min(start + PORTION, args.decisions))]
        store.commit(TickChanges("group", decisions[0].slot, decisions=decisions, at=decisions[0].slot))


def paths(args: argparse.Namespace) -> dict[str, Callable[[SqlStore], object]]:
    """Return what pages, API and scrapes read."""
    one = request(args.requests // 2, args)
    return {
        "load": lambda store: store.load(BEGINS + SPAN, BEGINS),
        "scrape: depths": lambda store: store.depths(),
        "rules: verdicts": lambda store: store.verdicts(),
        "requests": lambda store: store.requests(RequestFilter()),
        "requests closed": lambda store: store.requests(RequestFilter((RequestState.CLOSED,))),
        "requests of two states": lambda store: store.requests(RequestFilter(STATES[:2])),
        "requests of a pipeline": lambda store: store.requests(
            RequestFilter(project=one.request.model.project, pipeline=one.request.model.pipeline)
        ),
        "requests, a later page": lambda store: store.requests(RequestFilter((RequestState.CLOSED,), after=one.id)),
        "decisions": lambda store: store.decisions(DecisionFilter()),
        "decisions expired": lambda store: store.decisions(DecisionFilter(outcomes=(Outcome.EXPIRED,))),
        "decisions of no rule": lambda store: store.decisions(DecisionFilter(rule="None")),
        "decisions of a model": lambda store: store.decisions(DecisionFilter(one.request.model)),
        "model: episodes": lambda store: store.episodes(one.request.model),
        "deliveries pending": lambda store: store.pending_deliveries(),
        "request": lambda store: (store.request(one.id), store.deliveries(one.id)),
    }


def cpu_ms(act: Callable[[], object], runs: int) -> float:
    """Return the least CPU time of some runs."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        act()
        times.append(1000 * (time.process_time() - began))
    return round(min(times), 2)


def prune(store: SqlStore, before: int) -> dict[str, Any]:
    """Prune while another thread commits a slot every 20 ms; return how long commits waited at most."""
    stop, waits = threading.Event(), list[float]()

    def commit() -> None:
        while not stop.wait(0.02):
            began = time.perf_counter()
            store.commit(TickChanges("other", before, at=before))
            waits.append(1000 * (time.perf_counter() - began))

    alone = cpu_ms(lambda: store.commit(TickChanges("other", before, at=before)), 5)
    thread = threading.Thread(target=commit)
    thread.start()
    began, cpu = time.perf_counter(), time.process_time()
    rows = store.prune(before)
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    stop.set()
    thread.join()
    waits.sort()
    return {
        "rows": rows, "seconds": round(seconds, 1), "cpu_s": round(used, 2), "commit_alone_cpu_ms": alone,
        "commit_ms_median": round(waits[len(waits) // 2], 1) if waits else 0.0,
        "commit_ms_max": round(waits[-1], 1) if waits else 0.0,
    }  # fmt: skip


def served(args: argparse.Namespace, database: Path) -> dict[str, Any]:
    """Return what the start of a bridge on this history costs, and each page, API path and scrape."""
    scenario = Scenario("history", 0.01, signal=True, models=args.pipelines, interval=60)

    def prepare(side: MeasuredProgram) -> None:
        assert side.database is not None
        side.database.parent.mkdir(parents=True)
        shutil.copy(database, side.database)

    with running(scenario, prepare=prepare) as (side, start):
        print("start", start)
        one = request(args.requests // 2, args)
        paths = {
            **MODELS,
            **HISTORY,
            "/requests of one": f"/requests/{one.id}",
            "one request": f"/api/v1/requests/{one.id}",
        }
        return {"start": start, "paths": measured(side, paths)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=300_000)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--pipelines", type=int, default=10_000)
    args = parser.parse_args()
    result: dict[str, Any] = {"size": vars(args)}
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore.open_sqlite(Path(folder) / "bridge.db")
        fill(store, args)
        for name, act in paths(args).items():
            result[name] = cpu_ms(lambda act=act: act(store), 1 if name == "load" else 5)  # type: ignore[misc]
            print(name, result[name], "ms")
        store.close()
        result["served"] = served(args, Path(folder) / "bridge.db")
        store = SqlStore.open_sqlite(Path(folder) / "bridge.db")
        result["prune of nothing"] = prune(store, BEGINS - SECOND)
        result["prune of a day"] = prune(store, BEGINS + DAY)
        print(result["prune of nothing"], result["prune of a day"])
        store.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
