"""Replicas are killed and suspended while they evaluate; the fleet decides what a single process does.

FLEET_SEED repeats a run, FLEET_FAULTS (6) sets its length; both are printed.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from bridge.config.load import load
from tests.fleet.test_random_kills import LEASE, hurt
from tests.support import decided
from tests.support import flow as flows
from tests.support.bridge import Json, whole_second, write_script
from tests.support.fleet import fleet
from tests.support.flow import RULES, SECOND
from tests.support.keyed import KeyedReceiver
from tests.support.postgres import postgres
from tests.support.processes import wait_until
from tests.support.remote_write import Series, remote_write
from tests.support.servers import Prometheus

FAULTS = int(os.environ.get("FLEET_FAULTS", "6"))
LATENCY = "last_over_time(model_latency[500ms])"  # absent where a sample is missing
LEAD = 20  # seconds from writing the script to its begin, in which the fleet starts
MODELS = [("shop", "search", "1"), ("shop", "search", "2"), ("shop", "ads", "1"), ("bank", "fraud", "3")]


def rules() -> Json:
    """Return rules of every kind: with states, missing samples, holds, and a query that fails at times."""
    level = {"reference": "fixed", "level": 100, "spread": 3, "whiten": False}
    version = {"reference": "version", "warm_up": "10s", "history": "0s"}
    slow: Json = {"threshold": {"max": 115}}
    busy: Json = {"threshold": {"max": 0.5}}
    latency: list[Json] = [
        {"retrain": "Shifted", "signal": "latency", "strategy": {"ewma": {"limit": 3, "standardise": level}}},
        {"retrain": "Learned", "signal": "latency", "strategy": {"ewma": {"limit": 3, "standardise": version}}},
        {"retrain": "Often", "signal": "latency", "strategy": slow, "breaches": {"at_least": 2, "of": 4}},
        {
            "retrain": "High", "expr": f"{LATENCY} > 125", "for": "2s", "approval": "required",
            "labels": {"at": "{{ $value }}"},
        },
        {
            "retrain": "Both", "keep_firing_for": "2s",
            "all": [{"signal": "latency", "strategy": slow}, {"signal": "load", "strategy": busy}],
        },
        {"retrain": "Silent", "signal": "load", "strategy": slow, "inconclusive": {"no_data": "fire"}, "for": "1s"},
    ]  # fmt: skip
    signals = {
        "latency": {"event": "custom", "expr": LATENCY},
        "load": {"event": "custom", "expr": "last_over_time(model_load[500ms])"},
    }
    twins = f"{LATENCY} * on (pipeline) group_left last_over_time(model_twin[500ms])"
    failing: Json = {"retrain": "Broken", "signal": "twins", "strategy": slow, "shadow": True}  # leads no episode
    groups = [
        *flows.rules()["groups"],
        {"name": "latency", "interval": "1s", "signals": signals, "rules": latency},
        {
            "name": "broken", "interval": "2s", "rules": [failing],
            "signals": {"twins": {"event": "custom", "expr": twins}},
        },
    ]  # fmt: skip
    for item in (*latency, failing):
        item["cooldown"] = "0s"  # it would count from a delivery, which a single process makes at another instant
    return {"groups": groups}


def spans(rng: random.Random, begins: int, ends: int, longest: int) -> list[range]:
    """Return times in which something is wrong, in ms, and about as long ones between them."""
    found, at = list[range](), begins + rng.randint(3, longest) * SECOND
    while at < ends - 2 * longest * SECOND:
        over = at + rng.randint(1, longest) * SECOND
        found.append(range(at, over))
        at = over + rng.randint(1, longest) * SECOND
    return found


def written(rng: random.Random, begins: int, ends: int) -> list[Series]:
    """Return noise with shifts and gaps; all is healthy at the end, and goes on for five minutes."""
    series: list[Series] = []
    seconds = range(begins, ends + 300 * SECOND, SECOND)
    for name, level, shift, spread in (("model_latency", 100.0, 30.0, 3.0), ("model_load", 0.3, 0.4, 0.02)):
        for model in MODELS:
            high, gaps = spans(rng, begins, ends, 12), spans(rng, begins, ends, 6)
            points = [
                (at, level + shift * any(at in span for span in high) + rng.gauss(0, spread))
                for at in seconds
                if not (rng.random() < 0.3 and any(at in gap for gap in gaps))
            ]
            labels = dict(zip(("project", "pipeline", "version"), model, strict=True))
            series.append(({"__name__": name, **labels}, points))
    steady = [(at, 1.0) for at in seconds]
    series += [({"__name__": "model_twin", "pipeline": name}, steady) for name in ("search", "ads", "fraud")]
    doubled = [
        (at, 1.0)
        for span in spans(rng, begins, ends, 9)
        for at in range(span.start, max(span.stop, span.start + 2 * SECOND), SECOND)
    ]  # two seconds at least: the group is evaluated every other second
    series.append(({"__name__": "model_twin", "pipeline": "ads", "copy": "1"}, doubled))
    return series


def history(source: Prometheus, rng: random.Random) -> flows.Flow:
    """Write what the rules will see, the future included."""
    script = flows.flow(rng, whole_second(LEAD), round(FAULTS * 2.2 * LEASE) + 10, in_turns=False)
    for rule, timing in RULES.items():
        write_script(source, script.samples(rule), timing.metric)
    remote_write(source.url, written(rng, script.begins, script.ends))
    return script


@pytest.mark.timeout(FAULTS * 90 + 900)
def test_fleet_decides_what_a_single_process_decides(
    source: Prometheus, webhook: KeyedReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every column of all decisions equals those of one process that was late in the same slots but never replaced.

    What rules saw in each slot equals that of a process that was never late. The rule whose query fails is left out
    there: a late owner cannot query the slots between failures, so they are inconclusive.
    """
    seed = int(os.environ.get("FLEET_SEED") or random.randrange(2**32))
    print(f"FLEET_SEED={seed} FLEET_FAULTS={FAULTS}")
    rng, began = random.Random(seed), time.monotonic()
    hooks = {"webhook_configs": [{"url": webhook.url, "timeout": "5s"}]}
    with postgres() as cluster:
        database = cluster.database()
        decided.record_ticks(database)
        script = history(source, rng)  # whole before the first query, however long that takes
        with fleet(source.url, rules(), hooks, database, 3, LEASE) as made:
            fence = made.lease()[1]
            first = made.owner()
            first.kill()  # the others are at random: they may end no ownership
            wait_until(lambda: made.lease()[1] > fence, 60, "a take-over")
            first.start()
            done = Counter(hurt(made, rng) for _ in range(FAULTS))
            groups = load(made.folder / "bridge.yml").groups
            wait_until(lambda: all(made.slot(group.name) >= script.ends for group in groups), 300, "the script's end")
            takeovers = made.lease()[1] - fence
            for item in made.replicas:
                item.kill()
            ticks, found = decided.ticks_of(database), decided.server_tables(database)
            config = made.folder / "bridge.yml"
            same = decided.single_process(config, tmp_path / "same", ticks, monkeypatch)
            punctual = decided.each_slot(ticks, groups)
            never_late = decided.single_process(config, tmp_path / "never-late", punctual, monkeypatch)
    broken = {"Broken"}
    seen, wanted = (
        [row for row in decided.transitions(tables) if row[2] not in broken] for tables in (found, never_late)
    )
    print(json.dumps({
        "faults": dict(done), "take-overs": takeovers, "slots": len(punctual), "late slots": len(punctual) - len(ticks),
        "decisions": len(found["decisions"]), "by rule": Counter(row[2] for row in found["decisions"]),
        "requests": len(found["requests"]), "states": Counter(row[8] for row in found["requests"]),
        "seconds": round(time.monotonic() - began),
    }))  # fmt: skip
    for name, rows in same.items():
        assert decided.differences(found[name], rows) == [], name
    assert decided.differences(seen, wanted) == []
    assert {row[0] for row in found["requests"]} == {row[0] for row in never_late["requests"]}
    assert takeovers >= 1
    assert len(ticks) < len(punctual)
    assert {row[2] for row in found["decisions"]} == {rule.name for group in groups for rule in group.rules}
