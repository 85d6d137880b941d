"""A live run with kills and faults, and a backtest over the same history: the same requests."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from bridge.authoring.backtest.backtest import of_config
from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.request import RequestRecord
from bridge.domain.rule import SignalQuery
from bridge.domain.times import parse_rfc3339
from bridge.engine.replay.replay import Replay
from bridge.ports import MetricSource, Sample, TickChanges
from tests.support.bridge import REMOTE_WRITE, Bridge, Json, Model, bridge, whole_second, write_script
from tests.support.processes import wait_until
from tests.support.receiver import Receiver, Reply
from tests.support.servers import Prometheus, prometheus

SECOND = 1000
SLOTS = 200
MODELS = [("shop", f"pipeline-{number:02}", "1") for number in range(20)]
METRICS = ("m_drift", "m_latency", "m_errors")
SLOW = {"threshold": {"max": 0.6, "clear": 0.3}}


def rules() -> Json:
    """Five kinds of rules over three signals; in one group, so that file order says which one leads."""
    signals = {
        "drift": {"event": "drift", "expr": "m_drift"},
        "latency": {"event": "latency", "unit": "seconds", "expr": "m_latency"},
    }
    both = [{"signal": "latency", "strategy": SLOW}, {"signal": "drift", "strategy": {"threshold": {"max": 0.6}}}]
    one_group: list[Json] = [
        {"retrain": "Drifted", "signal": "drift", "strategy": {"threshold": {"max": 0.6}}, "for": "3s"},
        {"retrain": "Often", "signal": "latency", "strategy": SLOW, "breaches": {"at_least": 3, "of": 6}},
        {"retrain": "Both", "all": both, "keep_firing_for": "4s"},
        {"retrain": "Pasted", "expr": "m_errors > 0.6", "for": "2s", "keep_firing_for": "2s"},
        {"retrain": "Wave", "expr": "m_latency + m_drift > 1.5"},
    ]
    quick = [{"cooldown": "0s", **rule} for rule in one_group]
    return {"groups": [{"name": "serving", "interval": "1s", "signals": signals, "rules": quick}]}


def script(draw: random.Random, begins: int, ends: int) -> dict[Model, list[tuple[int, float]]]:
    """Every model: healthy, in the band or breached, for some seconds each."""
    found: dict[Model, list[tuple[int, float]]] = {}
    for model in MODELS:
        points: list[tuple[int, float]] = []
        points += [(at, 0.1) for at in range(begins - 30 * SECOND, begins, SECOND)]
        at = begins
        while at < ends:
            value, lasts = draw.choice([0.1, 0.1, 0.5, 0.9]), draw.randint(2, 25)
            points += [(at + second * SECOND, value) for second in range(lasts)]
            at += lasts * SECOND
        found[model] = points
    return found


class Faulty:
    """A source that fails where it failed when the slot was live."""

    def __init__(self, source: MetricSource, faults: set[tuple[str, int]]) -> None:
        self._source = source
        self._faults = faults

    def instant(self, query: SignalQuery, slot: int, at: int, retry_for: int | None = None) -> EventBatch:
        raise NotImplementedError("a replay asks for history")

    def evaluate(self, expr: str, at: int, server: str = "") -> Sequence[Sample]:
        return self._source.evaluate(expr, at)

    def history(self, query: SignalQuery, slots: Sequence[int], offset: int) -> Iterator[EventBatch]:
        for batch in self._source.history(query, slots, offset):
            if (query.name, batch.slot) in self._faults:
                raise SourceError("it failed then", reason="network", transient=True)
            yield batch


def live(process: Bridge, source: Prometheus, draw: random.Random, begins: int) -> None:
    """Run it to its end: at even distances it is killed six times, and once Prometheus is gone for some seconds."""
    at = begins
    for number in range(7):
        at += draw.randint(18, 26) * SECOND
        process.wait_slot(at, 60)
        if number == 1:  # early: on a slow machine the last restarts come after the script
            source.kill()
            wait_until(lambda: process.rule("Drifted")["health"] == "err", 20, "the failing queries")
            process.wait_slot(process.stored_slot() + 5 * SECOND, 60)
            source.start()
            wait_until(lambda: process.rule("Drifted")["health"] == "ok", 30, "the repair")
            at += 10 * SECOND
            continue
        print(f"killed at slot {(int(time.time() * 1000) - begins) / 1000}")
        process.kill()
        now = int(time.time()) * SECOND
        wait_until(partial(is_past, now + 3 * SECOND), 10, "some slots to be missed")
        process.start()
    process.wait_slot(begins + SLOTS * SECOND, 120)


def is_past(at: int) -> bool:
    return time.time() * 1000 > at


def failed(process: Bridge, queries: Mapping[str, Sequence[str]]) -> set[tuple[str, int]]:
    """(query, slot) of every live query that was not answered, from the decisions that begin and end a failure."""
    found: set[tuple[str, int]] = set()
    since: dict[str, int] = {}
    for item in process.decisions():
        if item["project"] is None:
            slot = parse_rfc3339(item["slot"])
            if item["outcome"] == "error":
                since.setdefault(item["rule"], slot)
            else:
                begun = since.pop(item["rule"])
                found |= {(name, at) for name in queries[item["rule"]] for at in range(begun, slot, SECOND)}
    assert since == {}, "a failure never ended"
    return found


@pytest.mark.timeout(1200)
def test_a_recorded_live_run_gives_the_same_requests_when_it_is_backtested(tmp_path: Path) -> None:
    """200 slots, 20 models, 5 rules; 6 kills, a receiver that fails, and a Prometheus that is gone for a while.

    Slots whose query failed when they were live fail in the backtest as well. Requests that were found late, or missed
    in a down-time, have the ids that they would have had.
    """
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    hook = Receiver(*[Reply(503)] * 10, "hang", "reset", Reply(429, headers={"Retry-After": "2"}), Reply())
    with prometheus(flags=[REMOTE_WRITE]) as source, hook:
        entry = {"url": hook.url, "timeout": "2s"}
        with bridge(source.url, rules(), {"webhook_configs": [entry]}) as process:
            process.start()  # before the script is written: the first slots are evaluated, however long a start takes
            begins = whole_second(15)
            ends = begins + SLOTS * SECOND
            for metric in METRICS:
                write_script(source, script(draw, begins, ends + 60 * SECOND), metric)
            live(process, source, draw, begins)
            plan = of_config(process.config_file)
            queries = {rule.name: rule.queries for group in plan.groups for rule in group.rules}
            faults, records = failed(process, queries), process.requests()
        table, replayed = ModelTable(), dict[str, RequestRecord]()

        def take(changes: TickChanges) -> None:
            replayed.update({record.id: record for record in changes.requests})

        with contextlib.closing(plan.source(table)) as history:
            replay = Replay(Faulty(history, faults), table, plan.groups, take, gates=plan.gates)
            count = sum(1 for _ in replay.walk(begins - 20 * SECOND, ends))
    made = {item["id"]: (item["rule"], item["pipeline"], item["attempt"]) for item in records
            if parse_rfc3339(item["episode_start"]) <= ends}  # fmt: skip
    again = {id_: (record.request.rule, record.request.model.pipeline, record.request.attempt)
             for id_, record in replayed.items()}  # fmt: skip
    print(f"{count} slots, {len(faults)} failed queries, {len(made)} requests")
    for id_ in sorted(made.keys() ^ again.keys()):
        side = "live" if id_ in made else "backtest"
        start = (
            parse_rfc3339(next(item["episode_start"] for item in records if item["id"] == id_))
            if id_ in made
            else replayed[id_].request.episode_start
        )
        print(f"only {side}: {made.get(id_) or again.get(id_)} began at slot {(start - begins) // SECOND}")
    print("failed:", sorted((name, (at - begins) // SECOND) for name, at in faults))
    assert len(made) >= 10
    assert len(faults) >= 10
    assert again == made
