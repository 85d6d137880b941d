"""Closed-loop benchmark of the total cost of errors and retrainings under different policies.

    python -m benchmarks.retraining_cost [--seeds 3] [--first-seed 1] [--write]

Models of scikit-learn serve streams whose concept changes (benchmarks/streams.py); each training gets a new version,
and its errors are the series that Prometheus would hold, one sample every six hours. The bridge's own engine evaluates
rules with `cost_aware` and `auto` on them, and a request of it brings the next version. Beside it: never, every k
batches (the best k of each cell, chosen afterwards), river's ADWIN, DDM and KSWIN, and our own implementations of CARA
(both thresholds and the period) and of UPF (benchmarks/upf.py); and the cheapest times of all, known afterwards.
A cell is one stream at one cost ratio: what a retraining
costs, in batches whose requests all fail. Cells in which nobody gains by any retraining are left out. --write puts the
tables into docs/retraining-cost.md. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import policies, upf
from benchmarks.loop import OneCoordinator, commands_of
from benchmarks.streams import BATCHES, DRIFTS, EACH, Served, Stream, serve, streams
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import RequestState
from bridge.domain.rule import Cooldown, Gates, Group, Rule, SignalQuery, StrategySpec
from bridge.domain.times import HOUR, Duration, Timestamp
from bridge.engine.access import EngineSettings
from bridge.engine.engine import Engine
from bridge.ports import Kind, Sample, StatusReport, TickChanges
from bridge.store.memory import MemoryStore
from bridge.strategies.registry import strategies

Floats = NDArray[np.float64]
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
BEGIN = 40  # batches before it are for learning a threshold; the model in service is trained on the last of them
START, STEP = 1_699_999_200_000, 6 * HOUR
HINDSIGHT = "every k"
OURS = ("cost_aware", "auto")
QUERY = SignalQuery(
    "failures", EventKind.INFERENCE_ERROR, {"errors": "increase(errors_total[6h])", "total": "increase(total[6h])"}
)


# ---------------------------------------------------------------- the loop


@dataclass
class ServedModels:
    """Source of the engine: series of the models in service of all streams. versions: the batch of each training."""

    served: Sequence[Served]
    table: ModelTable = field(default_factory=ModelTable)
    versions: list[int] = field(default_factory=list)
    times: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.versions = [BEGIN - 1 for _ in self.served]
        self.times = [[] for _ in self.served]
        self.errors = [item.errors for item in self.served]

    def model(self, position: int) -> ModelKey:
        return ModelKey("streams", self.served[position].stream.name, f"trained-{self.versions[position]}")

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        batch = (slot - START) // STEP
        index = np.array([self.table.row(self.model(position)) for position in range(len(self.served))], np.int32)
        errors = np.array(
            [self.errors[position][self.versions[position], batch] for position in range(len(self.served))]
        )
        columns = {"errors": errors, "total": np.full(len(errors), float(EACH))}
        return EventBatch(query.name, query.event, slot, self.table, index, columns, elements=2 * len(errors))

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """Return no history: every rule starts with the first batch."""
        for slot in slots:
            nobody = np.zeros(0, np.int32)
            columns = {"errors": np.zeros(0), "total": np.zeros(0)}
            yield EventBatch(query.name, query.event, slot, self.table, nobody, columns)

    def evaluate(self, expr: str, at: Timestamp, server: str = "") -> Sequence[Sample]:
        """Return nothing: no template queries."""
        return []

    def retrain(self, pipeline: str, batch: int) -> None:
        """Train on the batch that has just been served."""
        position = next(position for position, item in enumerate(self.served) if item.stream.name == pipeline)
        self.versions[position] = batch
        self.times[position].append(batch)


class Outgoing(MemoryStore):
    """Store that also lists the requests sent since the last call."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def commit(self, changes: TickChanges) -> None:
        super().commit(changes)
        self.sent += [item.request_id for item in changes.deliveries if item.kind is Kind.FIRING]


def asked(served: Sequence[Served], spec: StrategySpec) -> list[list[int]]:
    """Return the batches after which the engine requested retraining, by stream; one rule, no cooldown."""
    rule = Rule("Retrain", "streams", "failures", spec, cooldown=Cooldown(0), max_attempts=0)
    group = Group("streams", STEP, {"failures": QUERY}, (rule,), fixed_phase=START % STEP)
    source, store = ServedModels(served), Outgoing()
    engine = Engine(source, store, source.table)
    now = START + (BEGIN - 1) * STEP
    engine.start(now)
    engine.configure([group], EngineSettings(OneCoordinator(), Gates(settle=0)))
    commands = commands_of(engine, store, lambda: now)
    for batch in range(BEGIN, BATCHES - 1):
        now = START + batch * STEP
        engine.evaluate("streams", now)
        for request_id in store.sent:
            record = store.request(request_id)
            assert record is not None
            source.retrain(record.request.model.pipeline, batch)
            commands.report_status(StatusReport(request_id, RequestState.SUCCEEDED, now))
        store.sent.clear()
    return source.times


# ---------------------------------------------------------------- the cells


@dataclass(frozen=True)
class Cell:
    """Result of a cell. costs: by policy; best_k: the best period."""

    stream: Stream
    ratio: float
    costs: Mapping[str, float]
    best_k: int

    @property
    def live(self) -> bool:
        """True if any retraining was worth its cost."""
        return self.costs["never"] > self.costs["oracle"] + 1e-9


def rival_times(one: Served) -> dict[float, tuple[dict[str, list[int]], int]]:
    """Return by ratio when each baseline policy retrains, and the best k."""
    rates = one.errors / EACH
    fixed = {name: policies.detected(one.wrong, BEGIN, fresh) for name, fresh in policies.detectors().items()}
    result, forecast = {}, upf.times(rates, BEGIN, RATIOS)
    for ratio in RATIOS:
        periods = {k: policies.every(k, BEGIN, BATCHES) for k in policies.PERIODS}
        best = min(periods, key=lambda k: (policies.cost(rates, BEGIN, periods[k], ratio), -k))
        times = {"never": [], HINDSIGHT: periods[best], **fixed}
        times["CARA-T"] = policies.cara(rates, BEGIN, ratio, total=False)
        times["CARA-P"] = policies.cara_periodic(rates, BEGIN, ratio)
        times["UPF"] = forecast[ratio]
        times["CARA-CT"] = policies.cara(rates, BEGIN, ratio, total=True)
        times["oracle"] = policies.oracle(rates, BEGIN, ratio)
        result[ratio] = (times, best)
    return result


def cells(served: Sequence[Served], tell: Callable[[str], None]) -> list[Cell]:
    """Evaluate every policy in every cell."""
    began = time.perf_counter()
    beside = [rival_times(one) for one in served]
    tell(f"the others: {time.perf_counter() - began:.0f} s")
    result = []
    for ratio in RATIOS:
        specs = {"cost_aware": {"retraining_cost": ratio * EACH, "window": "6h"}, "auto": {}}
        ours = {name: asked(served, StrategySpec(name, specs[name])) for name in OURS if name in strategies()}
        tell(f"ratio {ratio}: {time.perf_counter() - began:.0f} s")
        for position, one in enumerate(served):
            times, best = beside[position][ratio]
            every = times | {name: ours[name][position] for name in ours}
            rates = one.errors / EACH
            costs = {name: policies.cost(rates, BEGIN, when, ratio) for name, when in every.items()}
            result.append(Cell(one.stream, ratio, costs, best))
    return result


# ---------------------------------------------------------------- the report


def ratios_to_oracle(some: Sequence[Cell], name: str) -> Floats:
    return np.array([cell.costs[name] / cell.costs["oracle"] for cell in some])


def summary(result: Sequence[Cell]) -> dict[str, Any]:
    """Return means over the cells that count, and shares of cells in which cost_aware costs less."""
    live = [cell for cell in result if cell.live]
    names = [name for name in live[0].costs if name != "oracle"]
    baselines = [name for name in names if name not in OURS]
    online = [name for name in baselines if name != HINDSIGHT]
    mean = {name: round(float(ratios_to_oracle(live, name).mean()), 4) for name in names}
    best = {"baseline": min(baselines, key=mean.__getitem__), "online": min(online, key=mean.__getitem__)}
    reason: dict[str, Any] = {"cells": len(result), "live": len(live), "mean_to_oracle": mean, "best": best}
    for name in (item for item in OURS if item in names):
        rivals = {other: [other] for other in baselines}
        rivals |= {"each_cells_best": baselines, "each_cells_best_online": online}
        for word, sign in (("cheaper", -1), ("dearer", 1)):
            shares = {label: share(live, name, several, sign) for label, several in rivals.items()}
            reason[f"{name}_{word}"] = {f"than_{label}": round(result, 4) for label, result in shares.items()}
    return reason


def share(some: Sequence[Cell], name: str, others: Sequence[str], sign: int) -> float:
    """Return the share of cells in which a policy costs less (sign -1) or more (1) than the cheapest of others."""
    gaps = [cell.costs[name] - min(cell.costs[other] for other in others) for cell in some]
    return float(np.mean(sign * np.array(gaps) > 1e-9))


def by(result: Sequence[Cell], key: Callable[[Cell], Any], values: Sequence[Any], title: str) -> list[str]:
    """Return a table of the mean cost over the oracle's, by drift or by ratio."""
    names = [name for name in result[0].costs if name != "oracle"]
    lines = [f"| {title} | cells | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for value in values:
        some = [cell for cell in result if cell.live and key(cell) == value]
        if some:
            means = " | ".join(f"{ratios_to_oracle(some, name).mean():.2f}" for name in names)
            lines.append(f"| {value} | {len(some)} | {means} |")
    return lines


def every_cell(result: Sequence[Cell]) -> list[str]:
    """Return a table of all cells: costs in batches whose requests all fail, and the best k."""
    names = list(result[0].costs)
    lines = [f"| stream | ratio | {' | '.join(names)} | k |", "|---|---|" + "---|" * (len(names) + 1)]
    for cell in result:
        costs = " | ".join(f"{cell.costs[name]:.2f}" for name in names)
        left_out = "" if cell.live else " (left out)"
        lines.append(f"| {cell.stream.name}{left_out} | {cell.ratio:g} | {costs} | {cell.best_k} |")
    return lines


def write(page: Path, tables: Mapping[str, list[str]]) -> None:
    """Write tables between their markers."""
    text = page.read_text(encoding="utf-8")
    for name, lines in tables.items():
        before, rest = text.split(f"<!-- {name} -->\n")
        _, after = rest.split(f"<!-- end of {name} -->\n")
        text = before + f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end of {name} -->\n" + after
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1, help="0 = draw and print one")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    args.first_seed = args.first_seed or secrets.randbelow(10**6) + 10_000
    print(f"seeds {args.first_seed} to {args.first_seed + args.seeds - 1}")
    served = [serve(stream) for stream in streams(args.first_seed, args.seeds)]
    result = cells(served, print)
    tables = {
        "by ratio": by(result, lambda cell: cell.ratio, RATIOS, "ratio"),
        "by drift": by(result, lambda cell: cell.stream.drift, DRIFTS, "drift"),
        "every cell": every_cell(result),
    }
    for lines in reversed(tables.values()):
        print("\n".join(lines), end="\n\n")
    reason = {"seeds": args.seeds, "first_seed": args.first_seed} | summary(result)
    if args.write:
        write(Path(__file__).parents[1] / "docs" / "retraining-cost.md", tables)
    print(json.dumps(reason))


if __name__ == "__main__":
    main()
