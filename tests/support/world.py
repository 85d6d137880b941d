"""An engine in a bottle: a scripted source, the memory store, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import Decision, RequestRecord, RequestState
from bridge.domain.rule import Cooldown, Gates, Group, Rule, SignalQuery, StrategySpec
from bridge.domain.times import HOUR, SECOND, Duration, Timestamp
from bridge.domain.verdict import Cause
from bridge.engine.access import EngineSettings, EngineState
from bridge.engine.api.commands import EngineCommands
from bridge.engine.api.views import ReloadResult
from bridge.engine.engine import Engine
from bridge.engine.evaluation.evaluation import GroupEvaluation
from bridge.engine.evaluation.expansion import External
from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.engine.evaluation.trail import Trails
from bridge.engine.requests.gates import Recipients
from bridge.ports import DecisionFilter, RequestFilter, Sample, StatusReport, Store, TickReport
from bridge.store.memory import MemoryStore

START: Timestamp = 1_700_000_000_000
Samples = Mapping[ModelKey, float]
Answer = Samples | SourceError

A = ModelKey("shop", "ranking", "7")
B = ModelKey("shop", "search", "2")
C = ModelKey("shop", "ranking", "8")


@dataclass
class ScriptedSource:
    """Answers by signal name and instant; what is not scripted is an empty answer. `down`: every query fails."""

    table: ModelTable
    script: dict[tuple[str, Timestamp], Answer] = field(default_factory=dict)
    asked: list[tuple[str, Timestamp]] = field(default_factory=list)
    down: SourceError | None = None
    partial: bool = False
    series: bytes = b'{"instance":"i1"}'
    places: dict[ModelKey, bytes] = field(default_factory=dict)
    results: dict[str, list[Sample] | SourceError] = field(default_factory=dict)
    evaluated: list[tuple[str, Timestamp]] = field(default_factory=list)
    retried: list[Duration | None] = field(default_factory=list)

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        self.asked.append((query.name, at))
        self.retried.append(retry_for)
        answer = self.down or self.script.get((query.name, at), {})
        if isinstance(answer, SourceError):
            raise answer
        index = np.array([self.table.row(model) for model in answer], np.int32)
        series = [self.places.get(model, self.series) for model in answer]
        return EventBatch(
            query.name, query.event, slot, self.table, index, {"value": np.array(list(answer.values()), np.float64)},
            unit_ms=query.unit_ms, series=series, elements=len(answer),
            cause=Cause.PARTIAL if self.partial else Cause.NONE, notes=("truncated",) if self.partial else (),
        )  # fmt: skip

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        for slot in slots:
            yield self.instant(query, slot, slot - offset)

    def evaluate(self, expr: str, at: Timestamp, server: str = "") -> list[Sample]:
        self.evaluated.append((expr, at))
        found = self.results.get(expr, [])
        if isinstance(found, SourceError):
            raise found
        return found


@dataclass
class FixedRoutes:
    """Every request goes to the same destinations; `reporting` ones tell what became of it."""

    destinations: tuple[str, ...] = ("team/coordinator/0",)
    reporting: bool = True
    resolved: tuple[str, ...] = ()
    muted: Timestamp = 0
    timed: bool = True

    def recipients(self, labels: Mapping[str, str]) -> Recipients:
        return Recipients(("team",), self.destinations)

    def muted_until(self, labels: Mapping[str, str], at: Timestamp) -> Timestamp:
        return self.muted

    def identity(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        return labels

    def tracked(self, destinations: Sequence[str]) -> bool:
        return self.reporting

    def wants_resolved(self, destination: str) -> bool:
        return destination in self.resolved


DRIFT = SignalQuery("drift", EventKind.DRIFT, {"value": "model_drift"})


def rule(name: str = "Drifted", *, query: str = "drift", limit: float | None = 0.6, **more: Any) -> Rule:
    """A threshold rule on `query`, or a plain expression when `limit` is None."""
    spec = None if limit is None else StrategySpec("threshold", {"max": limit})
    cooldown = more.pop("cooldown", 0)
    wait = cooldown if isinstance(cooldown, Cooldown) else Cooldown(cooldown)
    return Rule(name, "g", query, spec, **{"cooldown": wait, **more})


def group(*rules: Rule, interval: Duration = 10 * SECOND, **more: Any) -> Group:
    """A group "g" with slots at whole intervals; queries are named after what the rules use."""
    ordered = tuple(replace(item, order=index) for index, item in enumerate(rules))
    names = [name for item in ordered for name in item.queries]
    queries = {name: replace(DRIFT, name=name, exprs={"value": name}) for name in names}
    return Group("g", interval, queries, ordered, **{"fixed_phase": 0, **more})


class World:
    """An engine with one group; `tick` moves to the next slot and evaluates it."""

    def __init__(
        self, group: Group, *, store: Store | None = None, routes: FixedRoutes | None = None,
        gates: Gates | None = None, trails: Trails | None = None,
    ) -> None:  # fmt: skip
        self.store: Store = store or MemoryStore()
        self.group = group
        self.routes = routes or FixedRoutes()
        self.gates = gates or Gates(settle=0)
        self.external = External({"cluster": "eu"}, "http://bridge/x")
        self.settings = EngineSettings(self.routes, self.gates, catch_up_limit=HOUR, external=self.external)
        self.trails = trails
        self.now = group.slot_at(START)
        self.script: dict[tuple[str, Timestamp], Answer] = {}
        self.places: dict[ModelKey, bytes] = {}
        self.restart()

    def restart(self) -> None:
        """As after kill -9: only what the store holds is left."""
        table = ModelTable()
        self.source = ScriptedSource(table, self.script, places=self.places)
        self.engine = Engine(self.source, self.store, table, trails=self.trails)
        self.engine.start(self.now)
        self.engine.configure([self.group], self.settings)
        self.commands = EngineCommands(
            self.engine, self.store, self.store, self.store, configured=lambda: self.routes.destinations,
            reload=lambda: ReloadResult(ok=True), wake=lambda: None, now=lambda: self.now,
        )  # fmt: skip

    def reconfigure(self, group: Group) -> None:
        """A reload."""
        self.group = group
        self.engine.configure([group], self.settings)

    def change(self, *, source: ScriptedSource | None = None, **settings: object) -> None:
        """Reload with other settings, or another source."""
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type]
        self.source = source or self.source
        self.engine.configure([self.group], self.settings, source=source)

    @property
    def state(self) -> EngineState:
        """The engine's state; the tests have one thread, so it may leave the block."""
        with self.engine.read() as state:
            return state

    def rule(self, name: str) -> RuleEvaluator:
        """A rule's evaluator."""
        return self.state.rules[name]

    def say(self, answer: Answer, *, signal: str = "drift", at: Timestamp | None = None) -> None:
        """What the source answers for the next slot (or for `at`)."""
        self.script[signal, (self.now + self.group.interval if at is None else at) - self.group.offset] = answer

    def tick(self, answer: Answer | None = None, *, signal: str = "drift") -> TickReport:
        """One interval later: evaluate; `answer` is what the source says of `signal` then."""
        if answer is not None:
            self.say(answer, signal=signal)
        self.now += self.group.interval
        return self.evaluate().report

    def evaluate(self) -> GroupEvaluation:
        """The evaluation of the present slot."""
        evaluation = self.engine.evaluate(self.group.name, self.now)
        assert evaluation is not None
        return evaluation

    def pass_slots(self, *answers: Answer) -> None:
        """Slots that nobody evaluates, with what the source held then."""
        for answer in answers:
            self.say(answer)
            self.now += self.group.interval

    def requests(self) -> list[RequestRecord]:
        """Oldest first."""
        return self.store.requests(RequestFilter())[::-1]

    def states(self) -> list[tuple[ModelKey, str]]:
        return [(record.request.model, record.state.value) for record in self.requests()]

    def decisions(self) -> list[Decision]:
        """Oldest first."""
        return self.store.decisions(DecisionFilter(limit=10_000))[::-1]

    def outcomes(self) -> list[str]:
        return [f"{decision.model or '-'} {decision.outcome.value}" for decision in self.decisions()]

    def report(self, request_id: str, state: str) -> None:
        """The coordinator says what became of a request."""
        self.commands.report_status(StatusReport(request_id, RequestState(state), self.now))


QUERY_FAILED = SourceError("HTTP 503 from the source", reason="unavailable", transient=True)
