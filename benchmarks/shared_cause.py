"""Benchmark of weighing breaches against siblings, on generated incidents.

    python -m benchmarks.shared_cause [--seeds 12] [--first-seed N]

Each seed draws a fleet: nodes, upstreams, feature sources and projects of many sizes, models that lack a label,
pipelines with two versions, rules with different `for`. Two days pass minute by minute through the bridge's own engine.
Incidents hit part of the models of one node, upstream, feature source, project, region (a label that is not configured)
or of everything; at once, scattered, or one after another; for minutes or for hours. Meanwhile models decay by
themselves, until they are retrained, and some are unhealthy for a few minutes. A decay of a model that an incident hits
at about the same time counts for neither. Beside it: no weighing, and `storm` alone. The last line is one JSON object.
Without --first-seed the first seed is drawn and printed.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.loop import OneCoordinator, commands_of
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import HoldReason, RequestRecord, RequestState
from bridge.domain.rule import Cooldown, Gates, Group, Rule, SharedCauses, SignalQuery, Storm, StrategySpec
from bridge.domain.times import HOUR, MINUTE, Duration, Timestamp
from bridge.engine.access import EngineSettings
from bridge.engine.api.commands import EngineCommands
from bridge.engine.engine import Engine
from bridge.ports import Sample, StatusReport
from bridge.store.memory import MemoryStore

START = 1_699_999_200_000
SLOTS = 2 * 24 * 60
LABELS = ("node", "upstream", "feature_source", "project")
SIGNALS = ("latency", "errors", "drift")
SIGNALS_OF = {
    "node": ("latency", "errors"), "upstream": ("errors", "latency"), "feature_source": ("drift", "errors"),
    "project": SIGNALS, "region": ("latency", "errors"), "everything": SIGNALS,
}  # fmt: skip
TRAINING = 30  # slots until a retraining ends
LEFT_OVER = 2 * 60  # slots after an incident in which a retraining is still counted as its
WAYS: Mapping[str, Gates] = {
    "siblings": Gates(settle=0, shared_cause=SharedCauses(LABELS)),
    "storm": Gates(settle=0, storm=Storm(0.2)),
    "nothing": Gates(settle=0),
}


@dataclass
class Fleet:
    """Generated models with their labels. labels: of each model, without those that it lacks."""

    models: list[ModelKey]
    labels: list[dict[str, str]]
    region: list[int]
    rules: tuple[Rule, ...]


@dataclass
class Incident:
    """Shared cause of breaches. spans: row -> first and last slot of its breach. shows: row -> its signals."""

    kind: str
    shape: str
    size: int
    spans: dict[int, tuple[int, int]]
    shows: dict[int, tuple[str, ...]]


@dataclass
class Decay:
    """Breach of one model by itself, until it is retrained. ends: last slot of a breach that passes, 0 = it lasts."""

    row: int
    begins: int
    signal: str
    ends: int = 0
    sent: int = 0
    held: bool = False
    clouded: bool = False


@dataclass
class Story:
    """What happens to a fleet."""

    fleet: Fleet
    incidents: list[Incident] = field(default_factory=list)
    decays: list[Decay] = field(default_factory=list)


# ---------------------------------------------------------------- generator


def draw(seed: int) -> Story:
    """Return the fleet and the events of a seed."""
    rng = np.random.default_rng([seed, 16])
    fleet = _fleet(rng)
    story = Story(fleet)
    at = 60
    while at < SLOTS - 6 * 60:
        story.incidents.append(_incident(rng, fleet, at))
        at = max(last for _, last in story.incidents[-1].spans.values()) + int(rng.integers(150, 400))
    for row in rng.permutation(len(fleet.models))[: max(4, len(fleet.models) // 6)].tolist():
        decay = Decay(row, int(rng.integers(60, SLOTS - 240)), str(rng.choice(SIGNALS)))
        if rng.random() < 0.3:
            decay.ends = decay.begins + int(rng.integers(2, 30))
        hit = (item.spans[row] for item in story.incidents if row in item.spans)
        decay.clouded = any(first - 60 <= decay.begins <= last + LEFT_OVER for first, last in hit)
        story.decays.append(decay)
    return story


def _fleet(rng: np.random.Generator) -> Fleet:
    count = int(rng.integers(40, 240))
    groups = {
        "node": _sets(rng, count, 3, 40), "upstream": _sets(rng, count, 3, 60),
        "feature_source": _sets(rng, count, 3, 80), "project": _sets(rng, count, 5, 80),
    }  # fmt: skip
    lacks = {
        label: rng.random(count) < rng.choice([0, 0, 0.1, 0.3]) for label in ("node", "upstream", "feature_source")
    }
    region = [int(groups["node"][row]) % 3 for row in range(count)]
    models, labels = [], []
    for row in range(count):
        twin = row > 0 and models[-1].version == "1" and rng.random() < 0.1
        pipeline, version = (models[-1].pipeline, "2") if twin else (f"m{row:03}", "1")
        if twin:
            groups["project"][row] = groups["project"][row - 1]
        models.append(ModelKey(f"team{groups['project'][row]}", pipeline, version))
        placed = {label: f"{label}-{groups[label][row]}" for label in lacks if not lacks[label][row]}
        labels.append(placed)
    waits = rng.choice([0, 2, 5, 10, 15], 3) * MINUTE
    rules = tuple(
        Rule(f"Bad{signal.title()}", "g", signal, StrategySpec("threshold", {"max": 0.5}), for_=int(wait),
             cooldown=Cooldown(HOUR), order=number)
        for number, (signal, wait) in enumerate(zip(SIGNALS, waits, strict=True))
    )  # fmt: skip
    return Fleet(models, labels, region, rules)


def _sets(rng: np.random.Generator, count: int, low: int, high: int) -> NDArray[np.int64]:
    """Return (count,) numbers of sets whose sizes are drawn between low and high."""
    found: list[int] = []
    number = 0
    while len(found) < count:
        found += [number] * int(rng.integers(low, high + 1))
        number += 1
    numbers = np.array(found[:count])
    rng.shuffle(numbers)
    return numbers


def _incident(rng: np.random.Generator, fleet: Fleet, at: int) -> Incident:
    kind = str(rng.choice(list(SIGNALS_OF), p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05]))
    shape = str(rng.choice(["at once", "scattered", "one by one"], p=[0.4, 0.4, 0.2]))
    rows = _victims(rng, fleet, kind)
    hit = rng.permutation(rows)[: max(1, round(float(rng.uniform(0.5, 1)) * len(rows)))]
    scale = {"at once": 3, "scattered": 20, "one by one": 60}[shape]
    length = int(np.exp(rng.uniform(np.log(20), np.log(8 * 60))))
    spans = {}
    for row in hit.tolist():
        late = int(rng.integers(0, scale + 1)) if shape != "scattered" else min(120, int(rng.exponential(scale / 2)))
        spans[row] = (at + late, max(at + late + 3, at + length + int(rng.exponential(5))))
    signals = SIGNALS_OF[kind][: 2 if rng.random() < 0.5 else 1]
    shows = {row: signals if rng.random() < 0.5 else (str(rng.choice(signals)),) for row in spans}
    return Incident(kind, shape, len(rows), spans, shows)


def _victims(rng: np.random.Generator, fleet: Fleet, kind: str) -> list[int]:
    rows = range(len(fleet.models))
    if kind == "everything":
        return list(rows)
    if kind == "region":
        return [row for row in rows if fleet.region[row] == 0]
    of = [model.project if kind == "project" else labels.get(kind, "") for model, labels in
          zip(fleet.models, fleet.labels, strict=True)]  # fmt: skip
    value = str(rng.choice(sorted(set(of) - {""})))
    return [row for row in rows if of[row] == value]


# ---------------------------------------------------------------- the bridge


@dataclass
class Source:
    """Present values by signal. values: signal -> (n,), 1 = unhealthy."""

    table: ModelTable
    series: list[bytes]
    values: dict[str, NDArray[np.float64]]

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        """Return the present values of a signal."""
        index = np.arange(len(self.series), dtype=np.int32)
        return EventBatch(
            query.name, query.event, slot, self.table, index, {"value": self.values[query.name]}, series=self.series
        )

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> list[EventBatch]:
        """Return nothing: no slot is missed."""
        return []

    def evaluate(self, expr: str, at: Timestamp, server: str = "") -> list[Sample]:
        """Return nothing: no template queries."""
        return []


def live(story: Story, gates: Gates) -> Counter[str]:
    """Run a story through the engine, and count what was retrained and what was held."""
    fleet, table, store = story.fleet, ModelTable(), MemoryStore()
    for model in fleet.models:
        table.row(model)
    count = len(fleet.models)
    values = {signal: np.zeros(count) for signal in SIGNALS}
    source = Source(table, [json.dumps(labels).encode() for labels in fleet.labels], values)
    kinds = dict(zip(SIGNALS, (EventKind.LATENCY, EventKind.INFERENCE_ERROR, EventKind.DRIFT), strict=True))
    queries = {signal: SignalQuery(signal, kind, {"value": signal}) for signal, kind in kinds.items()}
    group = Group("g", MINUTE, queries, fleet.rules, fixed_phase=0)
    engine = Engine(source, store, table)
    engine.start(START)
    engine.configure([group], EngineSettings(OneCoordinator(), gates, retire_after=365 * 24 * HOUR))
    now = [START]
    commands = commands_of(engine, store, lambda: now[0])
    run = _Run(story, {model: row for row, model in enumerate(fleet.models)}, commands)
    for slot in range(SLOTS):
        now[0] = START + slot * MINUTE
        _set(story, values, slot, run.healed)
        engine.evaluate("g", now[0])
        with engine.read() as state:
            index = state.episode_index
            records = [index.requests[id_] for id_ in index.current.values()]
        run.note(records, slot)
    return _count(story, run.fired)


@dataclass
class _Run:
    """What became of requests. sent: id -> slot. fired: (row, slot) of each retraining. healed: row -> slot."""

    story: Story
    rows: Mapping[ModelKey, int]
    commands: EngineCommands
    sent: dict[str, int] = field(default_factory=dict)
    fired: set[tuple[int, int]] = field(default_factory=set)
    healed: dict[int, int] = field(default_factory=dict)

    def note(self, records: Sequence[RequestRecord], slot: int) -> None:
        """Note held and sent requests of a slot, and end retrainings that are due."""
        for record in records:
            row = self.rows[record.request.model]
            if record.hold in {HoldReason.NOT_THE_MODEL, HoldReason.STORM}:
                for decay in self.story.decays:
                    decay.held |= decay.row == row and decay.begins <= slot and row not in self.healed
            if record.state is RequestState.REQUESTED and record.id not in self.sent:
                self.sent[record.id] = slot
                self.fired.add((row, slot))
        due = [id_ for id_, at in self.sent.items() if slot == at + TRAINING]
        for id_ in due:
            report = StatusReport(id_, RequestState.SUCCEEDED, START + slot * MINUTE)
            self.commands.report_status(report)
        for row, at in self.fired:
            if slot == at + TRAINING and any(item.row == row and item.begins <= at for item in self.story.decays):
                self.healed[row] = slot


def _set(story: Story, values: dict[str, NDArray[np.float64]], slot: int, healed: Mapping[int, int]) -> None:
    for column in values.values():
        column[:] = 0
    for incident in story.incidents:
        for row, (first, last) in incident.spans.items():
            if first <= slot <= last:
                for signal in incident.shows[row]:
                    values[signal][row] = 1
    for decay in story.decays:
        if decay.begins <= slot and (slot <= decay.ends if decay.ends else decay.row not in healed):
            values[decay.signal][decay.row] = 1


def _count(story: Story, fired: set[tuple[int, int]]) -> Counter[str]:
    """Return the figures of one story."""
    found: Counter[str] = Counter()
    decaying = {decay.row for decay in story.decays}
    for incident in story.incidents:
        longest = max(rule.for_ for rule in story.fleet.rules) // MINUTE
        for row, (first, last) in incident.spans.items():
            if row in decaying or last - first <= longest:
                continue
            retrained = any(row == other and first <= at <= last + LEFT_OVER for other, at in fired)
            few = "few" if incident.size < 3 else incident.kind
            for name in ("shared", f"shared: {few}", f"shape: {incident.shape}"):
                found[f"{name}|hit"] += 1
                found[f"{name}|retrained"] += retrained
    for decay in story.decays:
        if decay.ends or decay.clouded:
            continue
        begun = [at for row, at in fired if row == decay.row and at >= decay.begins]
        found["own|decays"] += 1
        found["own|held"] += decay.held
        found["own|retrained"] += bool(begun)
        found["own|delay"] += (min(begun) - decay.begins) if begun else 0
    return found


def main() -> None:
    """Print a table for each way, and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args()
    first = given.first_seed or secrets.randbelow(10**6) + 1
    print(f"seeds {first} to {first + given.seeds - 1}")
    began, result = time.perf_counter(), {"benchmark": "shared_cause", "first_seed": first, "seeds": given.seeds}
    for way, gates in WAYS.items():
        total: Counter[str] = Counter()
        for seed in range(first, first + given.seeds):
            total += live(draw(seed), gates)
        result[way] = _report(way, total)
    result["seconds"] = round(time.perf_counter() - began)
    print(json.dumps(result))


def _report(way: str, total: Counter[str]) -> dict[str, float]:
    print(f"\n{way}")
    for name in sorted({key.split("|")[0] for key in total} - {"own"}):
        hit, retrained = total[f"{name}|hit"], total[f"{name}|retrained"]
        print(f"  {name:28} {hit:5} models hit, {retrained:5} retrained ({retrained / max(1, hit):.1%})")
    own, held = total["own|decays"], total["own|held"]
    delay = total["own|delay"] / max(1, total["own|retrained"])
    print(f"  own decays {own}: held {held} ({held / max(1, own):.1%}), retrained {total['own|retrained']}, "
          f"after {delay:.0f} min")  # fmt: skip
    return {
        "retrained_for_shared": round(total["shared|retrained"] / max(1, total["shared|hit"]), 4),
        "own_held": round(held / max(1, own), 4),
        "own_retrained": round(total["own|retrained"] / max(1, own), 4),
        "own_delay_minutes": round(delay, 1),
    }


if __name__ == "__main__":
    main()
